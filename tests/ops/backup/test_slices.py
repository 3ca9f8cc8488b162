"""Which slices lead from a backup to a moment, and when they do not."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed
from crm.ops.backup import files, slices
from crm.ops.backup.slices import Slice
from crm.ops.backup.spans import Span, chain
from crm.ops.backup.targets import Directory

pytestmark = pytest.mark.fast


def at(seconds: int, ordinal: int = 1) -> OplogTime:
    return OplogTime(seconds, ordinal)


def parts(*ends: int) -> list[Span]:
    return [Span(at(a), at(b)) for a, b in itertools.pairwise(ends)]


@given(st.lists(st.integers(1, 100_000), min_size=2, max_size=30, unique=True), st.data())
def test_without_a_gap_every_moment_is_reached(ends: list[int], data: st.DataObject) -> None:
    ends = sorted(ends)
    every = parts(*ends)
    begins = data.draw(st.integers(ends[0], ends[-1] - 1))
    until = data.draw(st.integers(begins + 1, ends[-1]))
    shuffled = data.draw(st.permutations(every))
    found = chain(shuffled, at(begins), OplogTime(until, 0))
    reached = at(begins)
    for one in found:
        assert one.after <= reached < one.last
        reached = one.last
    assert reached >= OplogTime(until, 0)
    # No more than are needed: all but the last end before that moment.
    assert all(one.last < OplogTime(until, 0) for one in found[:-1])


@given(st.lists(st.integers(1, 100_000), min_size=3, max_size=20, unique=True), st.data())
def test_one_that_is_missing_is_a_gap(ends: list[int], data: st.DataObject) -> None:
    ends = sorted(ends)
    every = parts(*ends)
    lost = data.draw(st.integers(0, len(every) - 1))
    left = [one for place, one in enumerate(every) if place != lost]
    with pytest.raises(BackupFailed, match="is known up to"):
        chain(left, at(ends[0]), at(ends[-1]))


def test_slices_of_two_machines_may_overlap() -> None:
    one, other = parts(10, 20, 30, 40), parts(15, 25, 35)
    found = chain([*one, *other], at(12), OplogTime(33, 0))
    assert found[0].after <= at(12)
    assert all(a.last >= b.after for a, b in itertools.pairwise(found))
    assert found[-1].last >= OplogTime(33, 0)


def test_slices_are_found_by_their_database(tmp_path: Path) -> None:
    target = Directory(tmp_path)
    made = []
    for database in ("crm", "crm-oplog", "shop"):
        stored = files.store(target, f"{database}.bson.gz", iter([b""]), [])
        made.append(Slice(database=database, after=at(1), last=at(5), entries=0, stored=stored))
        slices.write(target, made[-1])
    names = target.names()
    assert slices.spans_among(names, "crm") == [made[0].span]
    assert slices.spans_among(names, "crm-oplog") == [made[1].span]
    assert slices.spans_among(names, "nobody") == []
    assert slices.leading(target, "crm", at(1), at(5)) == [made[0]]
    path = tmp_path / f"{made[0].name}.slice.json"
    path.write_text("{}")
    with pytest.raises(BackupFailed, match="is no slice"):
        slices.read(target, "crm", made[0].span)
