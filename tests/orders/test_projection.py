"""Totals follow the orders: right after a push, after a crash, and while nobody works on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar

from crm.contracts import contract
from crm.customers import service as customers
from crm.database.driver import Database, acting_as
from crm.errors import Unavailable
from crm.identity import Role
from crm.orders import projection
from tests.fixtures.rows import ABSENT, customer_row, plain_order_row, stats_due_row
from tests.fixtures.shop import Body, of, patch, push, stats
from tests.fixtures.store import Store, totals_settled

pytestmark = pytest.mark.mongo

NO_TOTALS: Body = {"orders_count": 0, "totals": [], "revision": 0}


@pytest_asyncio.fixture
async def alone(database: Database, store: Store) -> AsyncIterator[Database]:
    """A connection without a projector, as of a process that serves no requests."""
    other = Database.connect(store.settings, views=contract().views())
    yield other
    await other.close()


def crashed(store: Store, *, ago: timedelta, **mark: Any) -> tuple[str, str]:
    """What a process left that ended between writing an order and its customer's totals: the mark and the customer."""
    customer = customer_row(stats=NO_TOTALS)
    store.root["customers"].insert_one(customer)
    store.root["orders"].insert_one(plain_order_row("15.19", customer_id=customer["_id"]))
    fields = {"claimed_until": ABSENT, **mark}
    row = stats_due_row(customer_ids=[customer["_id"]], at=datetime.now(UTC) - ago, **fields)
    store.root["stats_due"].insert_one(row)
    return row["_id"], customer["_id"]


def orders_counted(store: Store, customer_id: str) -> int:
    row = store.root["customers"].find_one({"_id": customer_id}) or {}
    return int(row["stats"]["orders_count"])


async def gone(store: Store, mark: str) -> None:
    async with asyncio.timeout(10):
        while True:
            if store.root["stats_due"].find_one({"_id": mark}) is None:
                return
            await asyncio.sleep(0.02)


async def test_a_read_right_after_the_answer_shows_the_order(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    for number in range(1, 21):
        order = await push(ingest, order_body, str(number), **of("1.00"))
        found = await stats(sales, order["customer_id"])
        assert (found["orders_count"], found["totals"][0]["gross"]) == (number, f"{number}.00")
    order = await patch(ingest, order, status="cancelled")
    assert (await stats(sales, order["customer_id"]))["orders_count"] == 19


async def test_lists_and_marks_follow_within_a_moment(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    order = await push(ingest, order_body)
    await totals_settled(store)
    listed = (await sales.get("/api/v1/customers", params={"email": "ann@example.com"})).json()["items"]
    assert [(c["id"], c["stats"]["orders_count"]) for c in listed] == [(order["customer_id"], 1)]


async def test_what_a_process_that_is_gone_left_is_taken_over(app: Litestar, store: Store) -> None:
    old, ann = crashed(store, ago=timedelta(minutes=5))
    given_up, bob = crashed(store, ago=timedelta(minutes=5), claimed_until=datetime.now(UTC) - timedelta(seconds=1))
    young, eve = crashed(store, ago=timedelta(seconds=2))
    taken, sam = crashed(store, ago=timedelta(minutes=5), claimed_until=datetime.now(UTC) + timedelta(minutes=5))
    await gone(store, old)
    await gone(store, given_up)
    assert [orders_counted(store, customer) for customer in (ann, bob)] == [1, 1]
    # The others' writers may still be at it: their orders may not be there yet.
    assert {row["_id"] for row in store.root["stats_due"].find({})} == {young, taken}
    assert [orders_counted(store, customer) for customer in (eve, sam)] == [0, 0]


async def test_a_mark_of_which_nothing_was_written_or_whose_customer_is_gone_goes_too(
    app: Litestar, store: Store
) -> None:
    mark, ann = crashed(store, ago=timedelta(minutes=5))
    store.root["orders"].delete_many({})
    other, bob = crashed(store, ago=timedelta(minutes=5))
    store.root["customers"].delete_one({"_id": bob})
    for left in (mark, other):
        await gone(store, left)
    assert orders_counted(store, ann) == 0
    # An order that was on its way when its customer was deleted stays in the books, of nobody.
    (order,) = store.root["orders"].find({})
    assert not {"customer_id", "note"} & order.keys()
    assert order["shipping_address"] == {"country": "GB"}


async def test_a_read_shows_what_nobody_has_added_up_yet(
    sales: httpx.AsyncClient, analyst: httpx.AsyncClient, store: Store
) -> None:
    for reader in (sales, analyst):
        mark, customer = crashed(store, ago=timedelta(seconds=1))
        found = await stats(reader, customer)
        assert (found["orders_count"], found["totals"][0]["gross"]) == (1, "15.19")
        assert store.root["stats_due"].find_one({"_id": mark}), "its writer may not have ended"


async def test_a_write_that_failed_leaves_its_mark(alone: Database, store: Store) -> None:
    customer = customer_row(stats=NO_TOTALS)
    store.root["customers"].insert_one(customer)

    async def fails() -> None:
        async with projection.changing([customer["_id"]]):
            # Before the orders, not after.
            assert [row["customer_ids"] for row in store.root["stats_due"].find({})] == [[customer["_id"]]]
            raise Unavailable("away")

    with acting_as(alone, Role.INGEST), pytest.raises(Unavailable):
        await fails()
    assert store.root["stats_due"].count_documents({}) == 1


async def test_without_a_projector_totals_are_there_at_once(alone: Database, store: Store) -> None:
    customer = customer_row(stats=NO_TOTALS)
    store.root["customers"].insert_one(customer)
    with acting_as(alone, Role.INGEST):
        async with projection.changing([customer["_id"]]):
            store.root["orders"].insert_one(plain_order_row("15.19", customer_id=customer["_id"]))
    assert orders_counted(store, customer["_id"]) == 1
    assert store.root["stats_due"].find_one({}) is None


async def test_a_database_that_fails_now_and_then_only_makes_totals_late(
    ingest: httpx.AsyncClient, order_body: Body, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failures = customers.project_stats, 3

    async def failing(found: Any) -> bool:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise Unavailable("away")
        return await write(found)

    monkeypatch.setattr(customers, "project_stats", failing)
    order = await push(ingest, order_body)
    assert order["result"] == "created"
    await totals_settled(store)
    assert failures < 0
    assert orders_counted(store, order["customer_id"]) == 1


@pytest.mark.goes_around
async def test_a_customer_who_cannot_be_written_holds_up_nobody(
    ingest: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    """Somebody went around the rules; the totals of the others follow all the same."""
    broken = {**customer_row(stats=NO_TOTALS), "nickname": "no such field"}
    store.root.command("insert", "customers", documents=[broken], bypassDocumentValidation=True)
    pushes = [push(ingest, order_body, "0", customer={"id": broken["_id"]})]
    pushes += [push(ingest, order_body, str(n), customer={"email": f"c{n}@example.com"}) for n in range(1, 9)]
    _, *orders = await asyncio.gather(*pushes)
    await totals_settled(store)
    assert [orders_counted(store, order["customer_id"]) for order in orders] == [1] * 8


@pytest.mark.goes_around
async def test_totals_are_written_only_where_nobody_wrote_them_since(database: Database, store: Store) -> None:
    seen_at = datetime(2026, 1, 31, tzinfo=UTC)
    ann = customer_row(stats={**NO_TOTALS, "revision": 3, "last_seen_at": seen_at})
    new = customer_row(stats=NO_TOTALS)
    for row in (ann, new):
        store.root["customers"].insert_one(row)
    none: Body = {"orders_count": 0, "first_order_at": None, "last_order_at": None, "totals": []}
    one: Body = {"orders_count": 1, "first_order_at": seen_at, "last_order_at": seen_at, "totals": []}
    with acting_as(database, Role.INGEST):
        assert not await customers.project_stats({ann["_id"]: (2, one), new["_id"]: (0, one)}), "somebody wrote it"
        assert await customers.project_stats({ann["_id"]: (3, one)})
        assert not await customers.project_stats({"cus_nobody": (0, one), ann["_id"]: (4, none)}), "one is gone"
    stored = {row["_id"]: row for row in store.root["customers"].find({})}
    assert stored[ann["_id"]]["stats"] == {"orders_count": 0, "totals": [], "revision": 5, "last_seen_at": seen_at}
    assert stored[new["_id"]]["stats"] == {**one, "revision": 1}
    assert all(row["version"] == 1 for row in stored.values())
