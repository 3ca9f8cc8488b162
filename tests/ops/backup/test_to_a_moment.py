"""A store is restored as it was in the second before a disaster."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crm.database.oplog_time import OplogTime
from crm.database.snapshot import Source
from crm.errors import BackupFailed
from crm.identity import Role
from crm.ops.backup import listing, slices, spans, tailing
from crm.ops.backup.creating import Making, create
from crm.ops.backup.manifest import Manifest
from crm.ops.backup.restoring import Restored, Restoring, restore
from crm.ops.backup.targets import Directory
from tests.fixtures.rows import customer_row
from tests.fixtures.store import Store

pytestmark = [pytest.mark.mongo, pytest.mark.usefixtures("mongo_tools")]
NO_ORDERS = {"orders_count": 0, "totals": [], "revision": 0}


@pytest.fixture
def target(tmp_path: Path) -> Directory:
    return Directory(tmp_path)


def customer(number: int) -> dict[str, Any]:
    return customer_row(_id=f"cus_{number}", email=f"person{number}@example.com", stats=NO_ORDERS)


def next_second(store: Store) -> OplogTime:
    """The beginning of a second in which nothing has been written yet."""
    with Source(store.uri(Role.BACKUP)) as source:
        begun = source.majority_time().seconds
    while time.time() < begun + 1:
        time.sleep(0.02)
    return OplogTime(begun + 1, 0)


def backs_up(store: Store, target: Directory) -> Manifest:
    return create(Making(store.settings, store.settings.uri(), target, []))


def restores(there: Store, root_uri: str, target: Directory, until: OplogTime, name: str) -> Restored:
    backup = listing.find(target, name, None, until)
    return restore(Restoring(there.settings, root_uri, target, backup, [], until=until))


def test_to_the_second_before_a_disaster(store: Store, elsewhere: Store, root_uri: str, target: Directory) -> None:
    store.root["customers"].insert_one(customer(1))
    made = backs_up(store, target)
    with store.root.client.start_session() as session, session.start_transaction():
        store.root["customers"].insert_one(customer(2), session=session)
        store.root["customers"].update_one({"_id": "cus_1"}, {"$set": {"tags": ["changed"]}}, session=session)
    first = tailing.take(store.settings, target, [])
    assert first is not None
    assert first.after == made.oplog_last
    store.root["customers"].insert_one(customer(3))
    disaster = next_second(store)
    store.root["customers"].delete_many({})
    store.root["customers"].insert_one(customer(4))
    second = tailing.take(store.settings, target, [])
    assert second is not None
    assert second.after == first.last
    done = restores(elsewhere, root_uri, target, disaster, store.root.name)
    assert done.problems == []
    assert done.as_of == disaster
    there = {row["_id"]: row["tags"] for row in elsewhere.root["customers"].find()}
    assert there == {"cus_1": ["changed"], "cus_2": ["vip"], "cus_3": ["vip"]}


def test_a_gap_is_found_before_anything_is_done(
    store: Store, elsewhere: Store, root_uri: str, target: Directory
) -> None:
    backs_up(store, target)
    taken = []
    for number in range(3):
        store.root["customers"].insert_one(customer(number))
        taken.append(tailing.take(store.settings, target, []))
    lost = taken[1]
    assert lost is not None
    target.delete(f"{lost.name}.slice.json")
    last = taken[2]
    assert last is not None
    with pytest.raises(BackupFailed, match="no slice that goes"):
        restores(elsewhere, root_uri, target, last.last, store.root.name)
    assert elsewhere.root.list_collection_names() == []


def test_from_an_older_backup_across_a_newer_one(
    store: Store, elsewhere: Store, root_uri: str, target: Directory
) -> None:
    """The newer one may be damaged; and the moment may lie between the slice before it and itself."""
    older = backs_up(store, target)
    store.root["customers"].insert_one(customer(1))
    assert tailing.take(store.settings, target, []) is not None
    store.root["customers"].insert_one(customer(2))
    between = next_second(store)
    store.root["customers"].insert_one(customer(3))
    newer = backs_up(store, target)
    store.root["customers"].insert_one(customer(4))
    behind = next_second(store)
    store.root["customers"].delete_many({})
    assert tailing.take(store.settings, target, []) is not None
    assert older.oplog_last < between < newer.oplog_last < behind
    for moment, expected in ((between, {"cus_1", "cus_2"}), (behind, {"cus_1", "cus_2", "cus_3", "cus_4"})):
        asked = Restoring(elsewhere.settings, root_uri, target, older, [], no_ledger=True, replace=True, until=moment)
        assert restore(asked).problems == []
        assert {row["_id"] for row in elsewhere.root["customers"].find()} == expected
    reached = spans.reaches([older.oplog_last, newer.oplog_last], slices.spans_among(target.names(), store.root.name))
    assert [(one.first, one.last >= behind.moment) for one in reached] == [
        (older.oplog_last.moment + timedelta(seconds=1), True)
    ]
