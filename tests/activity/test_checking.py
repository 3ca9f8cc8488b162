"""``crm doctor`` finds activity that is not what events tell, and tells it again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from crm.activity import checking, projection
from crm.clock import now
from crm.contracts import contract
from crm.database.driver import Database, acting_as
from crm.identity import Role
from crm.ops.doctor import data_checks as checks
from crm.ops.doctor.findings import Finding
from crm.ops.doctor.visit import Visit
from tests.activity.browsing import Visitor, customer_of, mug, stored
from tests.fixtures.rows import Row, activity_row, amount
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
Examine = Callable[..., Awaitable[tuple[Finding, ...]]]


@pytest_asyncio.fixture
async def alone(store: Store) -> AsyncIterator[Database]:
    """A connection on which nobody tells what is received."""
    other = Database.connect(store.settings, views=contract().views())
    yield other
    other.close()


@pytest.fixture
def examine(alone: Database, store: Store, monkeypatch: pytest.MonkeyPatch) -> Examine:
    monkeypatch.setattr(checking, "_PATIENCE", 0)

    async def run(*, fix: bool = False, together: int = 2) -> tuple[Finding, ...]:
        with acting_as(alone, Role.ADMIN):
            return (await checks.activities(Visit(alone, fix, lambda *_told: None, together))).findings

    return run


async def browsed(alone: Database, store: Store, **times: Any) -> str:
    """Somebody did something, and it is told."""
    ann = Visitor(alone, **times)
    await ann.sends(ann.identified(0), ann.message(1), ann.did(2, "product_viewed", mug()))
    await ann.sends(ann.did(3, "product_added", mug(), currency="GBP"))
    customer_id = customer_of(store, ann)
    with acting_as(alone, Role.INGEST):
        await projection.project([customer_id])
    assert stored(store, customer_id)["cart"]
    return customer_id


TAMPERED: Mapping[str, Row] = {
    "seen": {"$set": {"last_seen_at": now(), "session.last_at": now()}},
    "visit": {"$inc": {"session.events": 1}},
    "views": {"$set": {"viewed": []}},
    "cart": {"$unset": {"cart": "", "cart_at": ""}},
    "price": {"$set": {"cart.items.0.price": amount("4.51")}},
    "shape": {"$set": {"surprise": 1}},
    "revision": {"$unset": {"revision": ""}, "$set": {"viewed": []}},
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_what_was_tampered_with_is_found_and_told_again(
    what: str, examine: Examine, alone: Database, store: Store
) -> None:
    ids = [await browsed(alone, store) for _ in range(3)]
    before = stored(store, ids[1])
    assert await examine() == ()
    store.root.command(
        "update", "activities", updates=[{"q": {"_id": ids[1]}, "u": TAMPERED[what]}], bypassDocumentValidation=True
    )
    if what == "shape":
        assert await examine() == (), "that is for the check of documents to tell"
        store.root.command(
            "update",
            "activities",
            updates=[{"q": {"_id": ids[1]}, "u": {"$set": {"viewed": []}}}],
            bypassDocumentValidation=True,
        )
    (finding,) = await examine()
    assert (finding.count, finding.fixed, finding.examples) == (1, 0, [ids[1]])
    (finding,) = await examine(fix=True)
    assert (finding.count, finding.open) == (1, False)
    after = stored(store, ids[1])
    for row in (before, after):
        del row["revision"], row["updated_at"]
    assert after == before
    assert await examine() == ()


async def test_what_is_missing_and_what_is_nobody_s_is_found(examine: Examine, alone: Database, store: Store) -> None:
    ids = [await browsed(alone, store) for _ in range(5)]
    orphans = [activity_row() for _ in range(3)]
    store.root["activities"].insert_many(orphans)
    store.root["activities"].delete_many({"_id": {"$in": ids[:2]}})
    idle = Visitor(alone)
    await idle.sends(idle.identified(0))
    store.root["activities"].insert_one(activity_row(_id=customer_of(store, idle)))
    nobodys, wrong = await examine()
    assert nobodys.count == 3
    assert set(nobodys.examples) == {row["_id"] for row in orphans}
    assert set(wrong.examples) == {*ids[:2], customer_of(store, idle)}
    assert [finding.open for finding in await examine(fix=True)] == [False, False]
    assert await examine() == ()
    assert store.root["activities"].count_documents({}) == 5


async def test_what_is_not_told_yet_is_no_finding(examine: Examine, alone: Database, store: Store) -> None:
    ann = Visitor(alone)
    await ann.sends(ann.identified(0), ann.message(1))
    times = {"clean_up_to": now() - timedelta(seconds=5), "beat_at": now() - timedelta(seconds=5)}
    store.root["activity_watermarks"].insert_one({"_id": "act_1", **times})
    assert await examine() == ()
    assert stored(store, customer_of(store, ann))
    assert store.root["activity_watermarks"].count_documents({"_id": "act_1"}) == 1


async def test_somebody_who_does_something_meanwhile_is_no_finding(
    examine: Examine, alone: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = Visitor(alone)
    await ann.sends(ann.identified(0))
    looks, told_each = 0, projection.told_each

    async def meanwhile(customer_ids: Any) -> Mapping[str, Row | None]:
        nonlocal looks
        looks += 1
        await ann.sends(ann.message(looks))
        return await told_each(customer_ids)

    monkeypatch.setattr(projection, "told_each", meanwhile)
    assert await examine() == ()
    assert looks > 2


async def test_a_cart_that_an_order_or_time_ended_and_what_is_long_ago_is_no_finding(
    examine: Examine, alone: Database, store: Store
) -> None:
    ordered = await browsed(alone, store)
    store.root["customers"].update_one({"_id": ordered}, {"$set": {"stats.last_order_at": now()}})
    forgotten = await browsed(alone, store, began=now() - timedelta(days=40))
    long_ago = await browsed(alone, store, began=now() - timedelta(days=301))
    store.root["events"].delete_many({"identity_id": {"$gt": ""}, "occurred_at": {"$lt": now() - timedelta(days=300)}})
    assert stored(store, long_ago)
    assert stored(store, forgotten)["cart"]
    assert await examine() == ()
