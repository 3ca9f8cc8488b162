"""What is in a target: complete backups, those to remove, and what killed runs left."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed
from crm.ops.backup import files, listing, manifest, slices, spans
from crm.ops.backup.keeping import Keep
from crm.ops.backup.manifest import Counted, Manifest
from crm.ops.backup.slices import Slice
from crm.ops.backup.spans import Span
from crm.ops.backup.targets import Directory

pytestmark = pytest.mark.fast
NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)


def backup(target: Directory, at: datetime, database: str = "crm", *, finished: bool = True) -> Manifest:
    name = manifest.name_of(database, at)
    stored = files.store(target, f"{name}.archive.gz", iter([b"archive"]), [])
    ledger = files.store(target, f"{name}.ledger.ndjson", iter([b"ledger"]), [])
    made = Manifest(
        name=name, database=database, began_at=at, seconds=1, crm_version="1", tool_version="100", server_version="8",
        oplog_first=OplogTime(1, 1), oplog_last=OplogTime(2, 1), contract="0" * 64, archive=stored, ledger=ledger,
        collections=[Counted(name="orders", count=3, hash="1" * 32)],
    )  # fmt: skip
    if finished:
        files.write_manifest(target, made)
    return made


def test_backups_are_listed_by_age_and_database(tmp_path: Path) -> None:
    target = Directory(tmp_path)
    late, early = backup(target, NOW), backup(target, NOW - timedelta(days=1))
    backup(target, NOW, "shop")
    backup(target, NOW - timedelta(hours=1), finished=False)
    assert listing.of_database(target, "crm") == [early, late]
    assert listing.find(target, "crm", None) == late
    assert listing.find(target, "crm", early.name) == early
    with pytest.raises(BackupFailed, match="There is no backup of other"):
        listing.find(target, "other", None)
    with pytest.raises(BackupFailed, match="is not in"):
        listing.find(target, "crm", "crm-20200101T000000Z")


def test_pruning_removes_whole_backups_and_what_was_abandoned(tmp_path: Path) -> None:
    target = Directory(tmp_path)
    nights = [backup(target, NOW - timedelta(days=n)) for n in range(20)]
    other = backup(target, NOW - timedelta(days=300), "shop")
    abandoned = backup(target, NOW - timedelta(days=3, hours=1), finished=False)
    at_work = backup(target, NOW - timedelta(hours=1), finished=False)
    (tmp_path / "notes.txt").write_text("mine")
    planned = listing.prune(target, "crm", Keep(2, 0, 0), NOW, do=False)
    assert len(target.names()) == 3 * 21 + 4 + 1
    done = listing.prune(target, "crm", Keep(2, 0, 0), NOW)
    assert done == planned
    assert done.leftovers == [abandoned.archive.file, f"{abandoned.name}.ledger.ndjson"]
    assert listing.of_database(target, "crm") == sorted(nights[:2], key=lambda one: one.began_at)
    assert listing.of_database(target, "shop") == [other]
    assert {name.partition(".")[0] for name in target.names()} == {
        *(one.name for one in nights[:2]), other.name, at_work.name, "notes",
    }  # fmt: skip


def test_the_newest_copy_of_the_ledger_stays(tmp_path: Path) -> None:
    """Whoever was erased is in no other: the newer backups could not copy it."""
    target = Directory(tmp_path)
    nights = [backup(target, NOW - timedelta(days=n)) for n in range(6)]
    for one in nights[:4]:
        assert one.ledger is not None
        target.delete(one.ledger.file)
        files.write_manifest(target, one.model_copy(update={"ledger": None}))
    listing.prune(target, "crm", Keep(2, 0, 0), NOW)
    assert [one.name for one in listing.of_database(target, "crm")] == [nights[n].name for n in (4, 1, 0)]


def taken(target: Directory, at: datetime, *, finished: bool = True) -> str:
    """A slice of the oplog of the minute before; returns its name."""
    seconds = int(at.timestamp())
    span = Span(OplogTime(seconds - 60, 1), OplogTime(seconds, 1))
    name = spans.name_of("crm", span)
    stored = files.store(target, f"{name}.bson.gz", iter([b"entries"]), [])
    if finished:
        slices.write(target, Slice(database="crm", after=span.after, last=span.last, entries=1, stored=stored))
    return name


def test_pruning_removes_slices_by_their_names_alone(tmp_path: Path) -> None:
    target = Directory(tmp_path)
    last = backup(target, NOW)
    target.delete(f"{last.name}.manifest.json")
    files.write_manifest(target, last.model_copy(update={"oplog_last": OplogTime(int(NOW.timestamp()), 1)}))
    old, new = taken(target, NOW - timedelta(days=8)), taken(target, NOW - timedelta(days=6))
    half_old, half_new = (taken(target, NOW - timedelta(days=n), finished=False) for n in (3, 1))
    (tmp_path / f"{old}.slice.json").write_text("what nobody need read")
    done = listing.prune(target, "crm", Keep(), NOW)
    assert (done.slices, done.leftovers) == (1, [f"{half_old}.bson.gz"])
    left = {name.partition(".")[0] for name in target.names()}
    assert left == {last.name, new, half_new}


def test_pruning_removes_what_a_killed_run_was_writing(tmp_path: Path) -> None:
    target = Directory(tmp_path)
    backup(target, NOW)
    abandoned = manifest.name_of("crm", NOW - timedelta(days=3)) + ".archive.gz.age"
    slice_ = taken(target, NOW - timedelta(days=3), finished=False) + ".bson.gz"
    (tmp_path / slice_).rename(tmp_path / f".{slice_}.part")
    others = [".notes.part", f".{manifest.name_of('shop', NOW - timedelta(days=3))}.archive.gz.part"]
    young = f".{manifest.name_of('crm', NOW - timedelta(hours=1))}.archive.gz.part"
    for name in (f".{abandoned}.part", young, *others):
        (tmp_path / name).write_text("half of it")
    for path in tmp_path.glob(".*.part"):
        age = timedelta(hours=1) if path.name == young else timedelta(days=3)
        os.utime(path, ((NOW - age).timestamp(),) * 2)
    planned = listing.prune(target, "crm", Keep(), NOW, do=False)
    assert set(planned.leftovers) == {abandoned, slice_}
    assert len(list(tmp_path.glob(".*.part"))) == 5
    assert listing.prune(target, "crm", Keep(), NOW) == planned
    assert {path.name for path in tmp_path.glob(".*.part")} == {young, *others}


def test_the_newest_backup_is_told_by_names(tmp_path: Path) -> None:
    target = Directory(tmp_path)
    made = [backup(target, NOW - timedelta(days=n)) for n in (2, 1)]
    backup(target, NOW, finished=False)
    backup(target, NOW, "shop")
    assert listing.newest_among(target.names(), "crm") == made[1].name
    assert listing.newest_among(target.names(), "nobody") is None


def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    target = Directory(tmp_path)
    made = backup(target, NOW)
    path = tmp_path / f"{made.name}.manifest.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(BackupFailed, match=rf"{made.name}\.manifest\.json is no manifest"):
        listing.of_database(target, "crm")


def test_differences_are_told_by_collection() -> None:
    def counted(name: str, count: int, digit: str = "0") -> Counted:
        return Counted(name=name, count=count, hash=digit * 32)

    same = [counted("customers", 2), counted("orders", 5), counted("events", 0)]
    assert manifest.differences(same, list(reversed(same))) == []
    found = [counted("customers", 2, "1"), counted("orders", 4), counted("notes", 1), counted("nothing", 0)]
    assert manifest.differences([*same, counted("users", 3)], found) == [
        "customers has 2 documents, and some of them differ from what was saved",
        "orders has 4 documents instead of 5",
        "users is missing: 3 documents",
        "notes was not there: 1 documents",
    ]
