"""Which backups are kept, whatever there is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.ops.backup.keeping import Keep, kept

pytestmark = pytest.mark.fast

MOMENTS = st.lists(
    st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    unique=True,
    max_size=60,
)
KEEPS = st.builds(Keep, st.integers(0, 10), st.integers(0, 10), st.integers(0, 10))


@given(MOMENTS, KEEPS)
def test_the_newest_stays_and_nothing_is_invented(moments: list[datetime], keep: Keep) -> None:
    staying = kept(moments, keep)
    assert staying <= set(moments)
    assert not moments or max(moments) in staying
    assert len(staying) <= max(1, keep.daily + keep.weekly + keep.monthly)


@given(MOMENTS, KEEPS)
def test_pruning_again_removes_nothing_more(moments: list[datetime], keep: Keep) -> None:
    staying = kept(moments, keep)
    assert kept(staying, keep) == staying


@given(MOMENTS, KEEPS)
def test_each_of_the_last_days_with_a_backup_keeps_its_newest(moments: list[datetime], keep: Keep) -> None:
    days: dict[date, datetime] = {}
    for at in sorted(moments):
        days[at.date()] = at
    newest = [days[day] for day in sorted(days, reverse=True)[: keep.daily]]
    assert set(newest) <= kept(moments, keep)


@given(MOMENTS, KEEPS, st.datetimes(datetime(2027, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_pruning_daily_keeps_what_pruning_at_the_end_would(
    moments: list[datetime], keep: Keep, later: datetime
) -> None:
    """Whoever prunes after every backup has at least what one prune at the end leaves."""
    had: set[datetime] = set()
    for at in sorted(moments):
        had = kept({*had, at}, keep)
    assert kept(moments, keep) <= had | kept(moments, keep)
    assert kept({*had, later}, keep) >= kept({later}, keep)


def test_a_year_of_nights() -> None:
    newest = datetime(2026, 11, 25, 3, tzinfo=UTC)
    nights = [newest - timedelta(days=n) for n in range(400)]
    staying = sorted(kept(nights, Keep(7, 5, 12)), reverse=True)
    assert [at.date() for at in staying[:7]] == [(newest - timedelta(days=n)).date() for n in range(7)]
    assert [f"{at:%Y-%m-%d}" for at in staying[7:10]] == ["2026-11-15", "2026-11-08", "2026-11-01"]
    assert {f"{at:%Y-%m}" for at in staying} == {f"2025-{m:02}" for m in (12,)} | {f"2026-{m:02}" for m in range(1, 12)}
