"""What can be restored to any second, told by names alone."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed
from crm.ops.backup import spans
from crm.ops.backup.spans import Reach, Span

pytestmark = pytest.mark.fast
PLACES = st.builds(OplogTime, st.integers(0, 2**32 - 1), st.integers(1, 2**31 - 1))


def at(seconds: int, ordinal: int = 1) -> OplogTime:
    return OplogTime(seconds, ordinal)


def span(after: int, last: int) -> Span:
    return Span(at(after), at(last))


def second(number: int) -> datetime:
    return datetime.fromtimestamp(number, UTC)


@given(st.from_regex(r"[A-Za-z0-9_-]{1,38}", fullmatch=True), PLACES, PLACES)
def test_a_name_tells_how_far_its_slice_goes(database: str, after: OplogTime, last: OplogTime) -> None:
    name = spans.name_of(database, Span(after, last))
    assert spans.span_of(name, database) == Span(after, last)
    assert spans.span_of(name, f"{database}x") is None
    assert spans.span_of(f"{name}x", database) is None


@given(st.lists(PLACES, min_size=2, max_size=10))
def test_the_order_of_names_is_the_order_of_ends(ends: list[OplogTime]) -> None:
    every = [Span(at(0), end._replace(ordinal=end.ordinal % 1_000_000)) for end in ends]
    by_name = sorted(every, key=lambda one: spans.name_of("crm", one))
    assert by_name == sorted(every, key=lambda one: one.last)


def test_slices_that_follow_backups_reach_as_far_as_they_go() -> None:
    parts = [span(10, 20), span(20, 30), span(30, 40)]
    assert spans.reaches([], parts) == []
    assert spans.reaches([at(10)], []) == []
    assert spans.reaches([at(10)], parts) == [Reach(second(11), second(40))]
    # The one from before the backup leads on; one made between two others changes nothing.
    assert spans.reaches([at(25)], parts) == [Reach(second(26), second(40))]
    assert spans.reaches([at(10), at(25)], parts) == [Reach(second(11), second(40))]
    assert spans.reaches([at(50)], parts) == []


def test_what_is_missing_is_told() -> None:
    parts = [span(10, 20), span(30, 40), span(50, 60)]
    assert spans.reaches([at(10), at(30)], parts) == [Reach(second(11), second(20)), Reach(second(31), second(40))]
    assert spans.reaches([at(10)], parts) == [Reach(second(11), second(20))]


def test_a_slice_within_one_second_reaches_none() -> None:
    assert spans.reaches([at(10, 1)], [Span(at(10, 1), at(10, 9))]) == []


@given(st.sets(st.integers(1, 60), max_size=6), st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=8))
def test_what_is_told_is_what_can_be_restored(begins: set[int], pairs: list[tuple[int, int]]) -> None:
    """Second by second, by the same way that a restore goes."""
    parts = [span(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]]

    def restorable(moment: int) -> bool:
        before = [at(begin) for begin in begins if at(begin) < OplogTime(moment, 0)]
        return any(leads(one, parts, OplogTime(moment, 0)) for one in before)

    told = spans.reaches([at(begin) for begin in begins], parts)
    assert {n for n in range(1, 70) if any(one.first <= second(n) <= one.last for one in told)} == {
        n for n in range(1, 70) if restorable(n)
    }
    assert all((b.first - a.last).total_seconds() > 1 for a, b in itertools.pairwise(told))


def leads(begins: OplogTime, parts: list[Span], until: OplogTime) -> bool:
    try:
        spans.chain(parts, begins, until)
    except BackupFailed:
        return False
    return True
