"""When the disk is full: the line is the one that fits, and too little says nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.growth.schemas import Measured
from crm.ops.doctor.findings import Severity
from crm.ops.doctor.forecast import forecast, grown, slope
from crm.ops.doctor.growth_checks import judged

pytestmark = pytest.mark.fast

DAY_0 = datetime(2026, 11, 1, 3, 0, tzinfo=UTC)


def measured(day: float, used: float, total: float = 1_000, **collections: tuple[int, int]) -> Measured:
    return Measured(DAY_0 + timedelta(days=day), round(used), round(total), collections)


@given(
    st.integers(1, 10**9), st.integers(0, 10**12), st.lists(st.integers(0, 80), min_size=2, max_size=20, unique=True)
)
def test_a_disk_that_fills_evenly_is_full_when_it_is_full(a_day: int, begun: int, days: list[int]) -> None:
    days.sort()
    total = begun + a_day * 100
    told = forecast([measured(day, begun + a_day * day, total) for day in days])
    assert told is not None
    assert told.a_day == pytest.approx(a_day, rel=1e-3)
    assert told.days_left == pytest.approx(100 - days[-1], rel=1e-3)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 10**6)), min_size=2, max_size=9))
def test_no_other_line_fits_better(points: list[tuple[int, int]]) -> None:
    if len({x for x, _ in points}) < 2:
        return
    steep = slope([(float(x), float(y)) for x, y in points])
    middle = sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)

    def off(by: float) -> float:
        return sum((y - middle[1] - by * (x - middle[0])) ** 2 for x, y in points)

    slack = 1e-6 * (1 + off(steep))
    assert off(steep) <= off(steep * 1.01 + 0.1) + slack
    assert off(steep) <= off(steep * 0.99 - 0.1) + slack


@pytest.mark.parametrize("days", [[], [0], [0, 0.5], [0, 0.99]])
def test_less_than_a_day_says_nothing(days: list[float]) -> None:
    assert forecast([measured(day, 10 * day) for day in days]) is None


@pytest.mark.parametrize("used", [[500, 500, 500], [500, 400, 300]])
def test_a_disk_that_does_not_fill_is_never_full(used: list[int]) -> None:
    told = forecast([measured(day, size) for day, size in enumerate(used)])
    assert told is not None
    assert told.days_left is None
    assert judged(told, 3).findings == ()


def test_one_afternoon_does_not_make_a_trend() -> None:
    steady = [measured(day, 500) for day in range(30)]
    told = forecast([*steady, measured(30, 520)])
    assert told is not None
    assert told.days_left is not None
    assert told.days_left > 300


@pytest.mark.parametrize(
    ("a_day", "expected"),
    [(50, [Severity.RED]), (10, [Severity.AMBER]), (8.0, [Severity.AMBER]), (1, [])],
)
def test_soon_is_red_and_later_amber(a_day: float, expected: list[Severity]) -> None:
    told = forecast([measured(0, 500), measured(10, 500 + 10 * a_day if a_day < 50 else 990)])
    assert [finding.severity for finding in judged(told, 2).findings] == expected


@pytest.mark.parametrize(
    ("samples", "words"), [(1, "One measurement says"), (2, "Measurements of less than a day say")]
)
def test_it_is_said_when_there_is_too_little(samples: int, words: str) -> None:
    (finding,) = judged(None, samples).findings
    assert finding.severity is Severity.NOTE
    assert words in finding.says


def test_a_collection_is_followed_from_when_it_was_first_measured() -> None:
    lately = [measured(0, 1), measured(2, 1, orders=(10, 1_000)), measured(6, 1, orders=(50, 9_000), users=(1, 5))]
    assert grown(lately, "orders") == (10.0, 2_000.0)
    assert grown(lately, "users") is None
    assert grown(lately, "nothing") is None
