"""A backup of before the erasure is put back: the ledger is replayed, and nobody is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bson
import httpx
import pytest

from crm.clock import now
from crm.contracts import contract
from crm.database.driver import Database, acting_as
from crm.identity import SYSTEM, Role
from crm.ledger import service as ledger
from crm.ledger.service import Known
from crm.people import erasing, service
from tests.fixtures.answers import good
from tests.fixtures.store import KEPT, Store, totals_settled
from tests.people.living import Life, order_of, traces

pytestmark = pytest.mark.mongo
Dump = dict[str, list[bytes]]


@pytest.fixture(autouse=True)
def _a_restored_process_knows_nothing(database: Database) -> Iterator[None]:
    yield
    if (erased := database.kept.get("identities.erased")) is not None:
        erased.ids.clear()


def dump(store: Store) -> Dump:
    """Every document of every collection, as BSON: what mongodump writes. Not the ledger: it lies elsewhere."""
    kept = [c.name for c in contract().collections if c.name not in {"audit_log", *KEPT}]
    return {name: [bson.encode(row) for row in store.root[name].find({})] for name in kept}


def restore(store: Store, database: Database, dumped: Dump) -> None:
    """Put it back as it was, in a process that has just started."""
    for name, rows in dumped.items():
        store.root[name].delete_many({})
        if rows:
            store.root[name].insert_many([bson.decode(row, tz_aware()) for row in rows])
    if (erased := database.kept.get("identities.erased")) is not None:
        erased.ids.clear()


def tz_aware() -> Any:
    return bson.CodecOptions(tz_aware=True)


async def known_of(database: Database) -> Known:
    with acting_as(database, Role.ADMIN):
        known = await ledger.known()
    assert known is not None
    return known


async def test_a_restored_dump_does_not_bring_them_back(zoe: Life, store: Store, database: Database) -> None:
    await zoe.everything()
    await totals_settled(store)
    dumped = dump(store)
    await zoe.erase()
    restore(store, database, dumped)
    assert traces(store) != []
    with acting_as(database, Role.ADMIN):
        await erasing.replay_if_restored(await known_of(database))
    await totals_settled(store)
    assert traces(store) == []
    (erasure,) = store.root["erasures"].find({})
    assert (erasure["state"], erasure["requested_by"]) == ("done", "system")
    # Nothing comes by the ways of before either.
    await zoe.browsing_again()
    await zoe.webhooks_again()
    assert traces(store) == []


async def test_a_dump_of_before_half_of_it_was_known(
    zoe: Life, store: Store, database: Database, admin: httpx.AsyncClient
) -> None:
    """Her browser was there, and nobody knew whose it was; and an order that names nobody."""
    await zoe.browsing()
    store.root["customers"].delete_many({})
    store.root["identities"].delete_many({})
    good(await admin.put("/api/v1/orders/shop/Z-1", json=order_of(customer=None)), 201)
    await totals_settled(store)
    dumped = dump(store)
    await zoe.becomes_known()
    await zoe.erase()
    restore(store, database, dumped)
    with acting_as(database, Role.ADMIN):
        found = await service.replay_all(SYSTEM, await known_of(database), lambda _what, _count: None)
    assert found > 0
    assert traces(store) == []


async def test_replaying_again_finds_nobody(zoe: Life, store: Store, database: Database) -> None:
    await zoe.everything()
    await totals_settled(store)
    dumped = dump(store)
    await zoe.erase()
    looked_at: dict[str, int] = {}
    with acting_as(database, Role.ADMIN):
        known = await known_of(database)
        restore(store, database, dumped)
        assert await service.replay_all(SYSTEM, known, looked_at.__setitem__) > 0
        before = dump(store)
        assert await service.replay_all(SYSTEM, known, looked_at.__setitem__) == 0
    assert dump(store) == before
    assert looked_at.keys() == {
        "customers", "identities", "privacy_requests", "idempotency_keys", "orders", "events", "event_rejects", "inbox",
    }  # fmt: skip


async def test_who_came_back_stays(zoe: Life, store: Store, database: Database, admin: httpx.AsyncClient) -> None:
    await zoe.everything()
    await zoe.erase()
    placed = now().isoformat()
    back = good(await admin.put("/api/v1/orders/shop/Z-2", json=order_of("Z-2", placed)), 201)["customer_id"]
    with acting_as(database, Role.ADMIN):
        await service.replay_all(SYSTEM, await known_of(database), lambda _what, _count: None)
    assert good(await admin.get(f"/api/v1/customers/{back}"))["stats"]["orders_count"] == 1


async def test_a_replay_that_was_interrupted_is_carried_on(
    zoe: Life, store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await zoe.everything()
    await totals_settled(store)
    dumped = dump(store)
    await zoe.erase()
    restore(store, database, dumped)
    known = await known_of(database)

    async def ends(*_: Any) -> int:
        raise KeyboardInterrupt

    with acting_as(database, Role.ADMIN):
        with monkeypatch.context() as patched:
            patched.setattr(erasing, "replay", ends)
            with pytest.raises(KeyboardInterrupt):
                await erasing.replay_if_restored(known)
        assert {row["state"] for row in store.root["erasures"].find({})} == {"running"}
        await erasing.replay_if_restored(known)  # somebody is at it
        assert traces(store) != []
        store.root["erasures"].update_many({}, {"$set": {"claimed_until": now()}}, hint="by_time")
        await erasing.carry_on()
    assert traces(store) == []
    assert {row["state"] for row in store.root["erasures"].find({})} == {"done"}
