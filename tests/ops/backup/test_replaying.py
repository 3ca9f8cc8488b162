"""What is replayed is what was copied: slices are counted, and so is what mongorestore applies."""

from __future__ import annotations

from pathlib import Path

import bson
import pytest
from bson.timestamp import Timestamp

from crm.database.archive import writes_of
from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed
from crm.ops.backup import files, slices, tailing
from crm.ops.backup.creating import Making, create
from crm.ops.backup.manifest import Manifest
from crm.ops.backup.restoring import Restored, Restoring, restore
from crm.ops.backup.slices import Slice
from crm.ops.backup.targets import Directory
from crm.ops.backup.tools import Running
from tests.fixtures.rows import customer_row
from tests.fixtures.store import Store

pytestmark = [pytest.mark.mongo, pytest.mark.usefixtures("mongo_tools")]
NO_ORDERS = {"orders_count": 0, "totals": [], "revision": 0}


class Copied:
    """A backup, and one slice behind it with three more customers."""

    def __init__(self, store: Store, elsewhere: Store, root_uri: str, folder: Path) -> None:
        self.target = Directory(folder)
        self.there = elsewhere
        self.backup: Manifest = create(Making(store.settings, store.settings.uri(), self.target, []))
        rows = [customer_row(_id=f"cus_{n}", email=f"person{n}@example.com", stats=dict(NO_ORDERS)) for n in range(3)]
        store.root["customers"].insert_many(rows[:2])
        with store.root.client.start_session() as session, session.start_transaction():
            store.root["customers"].insert_one(rows[2], session=session)
        store.root.client["admin"].command("appendOplogNote", data={"msg": "behind all of it"})
        made = tailing.take(store.settings, self.target, [])
        assert made is not None
        self.slice: Slice = made
        self._root_uri = root_uri

    def restores(self) -> Restored:
        until = self.slice.last
        return restore(Restoring(self.there.settings, self._root_uri, self.target, self.backup, [], until=until))


@pytest.fixture
def copied(store: Store, elsewhere: Store, root_uri: str, tmp_path: Path) -> Copied:
    return Copied(store, elsewhere, root_uri, tmp_path)


def test_it_is_told_how_much_was_replayed(copied: Copied) -> None:
    done = copied.restores()
    assert done.problems == []
    (told,) = [note for note in done.notes if note.startswith("since the backup: ")]
    assert told.endswith("from 1 slices")
    assert {row["_id"] for row in copied.there.root["customers"].find()} == {"cus_0", "cus_1", "cus_2"}


def test_a_slice_that_lost_an_entry_is_found(copied: Copied) -> None:
    """Its digest is right, as if it had been written so."""
    kept = list(slices.entries_of(copied.target, copied.slice, []))[1:]
    stored = files.store(copied.target, copied.slice.stored.file, files.compressed(iter(kept), 6), [])
    slices.write(copied.target, copied.slice.model_copy(update={"stored": stored}))
    with pytest.raises(BackupFailed, match=rf"has {len(kept)} entries instead of {len(kept) + 1}\."):
        copied.restores()
    assert copied.there.root.list_collection_names() == []


def test_a_minute_in_which_nothing_was_written(copied: Copied) -> None:
    stored = files.store(copied.target, copied.slice.stored.file, files.compressed(iter([]), 6), [])
    slices.write(copied.target, copied.slice.model_copy(update={"stored": stored, "entries": 0}))
    done = copied.restores()
    assert (done.problems, done.as_of) == ([], copied.slice.last)
    assert copied.there.root["customers"].count_documents({}) == 0


@pytest.mark.parametrize(
    ("applied", "problem"),
    [(2, "mongorestore applied 2 of 3 writes of the oplog."), (None, "mongorestore does not say how many writes")],
)
def test_what_mongorestore_leaves_out_is_told(
    applied: int | None, problem: str, copied: Copied, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Running, "applied", lambda _: applied)
    done = copied.restores()
    assert [told for told in done.problems if told.startswith(problem)], done.problems
    assert not done.well


def test_a_named_backup_of_a_later_moment_is_refused(copied: Copied, store: Store, root_uri: str) -> None:
    """Restored, it would hold what happened after the moment that was asked for: the disaster, too."""
    for until in (copied.backup.oplog_last, OplogTime(copied.backup.oplog_last.seconds, 0)):
        asked = Restoring(copied.there.settings, root_uri, copied.target, copied.backup, [], until=until, replace=True)
        with pytest.raises(BackupFailed, match=f"{copied.backup.name} is of .* name a backup of before that"):
            restore(asked)
    assert copied.there.root.list_collection_names() == []


def entry(op: str, o: dict[str, object], ns: str = "crm.customers") -> bytes:
    return bson.encode({"op": op, "ns": ns, "ts": Timestamp(1, 1), "o": o})


@pytest.mark.parametrize(
    ("raw", "least", "most"),
    [
        (entry("i", {"_id": 1}), 1, 1),
        (entry("n", {"msg": "nothing"}), 0, 0),
        (entry("c", {"drop": "customers"}, "crm.$cmd"), 0, 1),
        (entry("c", {"applyOps": []}, "admin.$cmd"), 0, 1),
        (entry("c", {"applyOps": [{"op": "i", "o": {}}, {"op": "d", "o": {}}]}, "admin.$cmd"), 2, 3),
        (entry("c", {"applyOps": [{"op": "u", "o": {}}], "partialTxn": True}, "admin.$cmd"), 0, 2),
        (entry("c", {"commitTransaction": 1}, "admin.$cmd"), 0, 1),
    ],
)
def test_what_mongorestore_counts(raw: bytes, least: int, most: int) -> None:
    assert writes_of(raw) == (least, most)
