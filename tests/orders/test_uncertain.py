"""Pushes whose order cannot be told, writes whose outcome is not known, and customers who hardly have a name."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from bson import Decimal128

from crm.database.collection import Collection, Row
from crm.errors import CrmError, Unavailable
from crm.orders.documents import Order
from tests.fixtures.answers import good
from tests.fixtures.rows import customer_row, plain_order_row
from tests.fixtures.shop import Body, push, stats
from tests.fixtures.store import Store, totals_settled

pytestmark = pytest.mark.mongo

MOMENT = "2026-01-31T12:00:05Z"


async def test_a_retry_does_not_bring_back_what_was_replaced_in_the_same_second(
    ingest: httpx.AsyncClient, order_body: Body
) -> None:
    said = [await push(ingest, order_body, note=note, source_updated_at=MOMENT) for note in ("A", "B", "A", "B", "C")]
    assert [(order["result"], order["note"]) for order in said] == [
        ("created", "A"), ("updated", "B"), ("stale", "B"), ("unchanged", "B"), ("updated", "C"),
    ]  # fmt: skip
    later = "2026-01-31T12:00:06Z"
    back = await push(ingest, order_body, note="A", source_updated_at=later)
    assert (back["result"], back["note"]) == ("updated", "A"), "in a later second it is news"


async def test_who_names_no_version_opens_no_way_for_older_ones(ingest: httpx.AsyncClient, order_body: Body) -> None:
    await push(ingest, order_body, note="new", source_updated_at=MOMENT)
    without = await push(ingest, order_body, note="without", source_updated_at=None)
    assert (without["result"], without["source_updated_at"]) == ("updated", MOMENT)
    older = await push(ingest, order_body, note="old", source_updated_at="2026-01-31T12:00:04Z")
    assert (older["result"], older["note"]) == ("stale", "without")


async def test_one_order_with_a_bare_telephone_has_one_customer_however_often_it_is_pushed(
    ingest: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    customer = {"phone": "0163 2960123"}  # no country code, so no key to find it by
    orders = [await push(ingest, order_body, customer=customer, note=str(n)) for n in range(3)]
    together = [push(ingest, order_body, "2", customer=customer, note=str(n)) for n in range(8)]
    orders += await asyncio.gather(*together)
    assert len({order["customer_id"] for order in orders}) == 2, "two orders, of which nobody knows whose they are"
    assert store.root["customers"].count_documents({}) == 2


async def test_an_order_that_arrives_after_its_push_was_given_up_is_in_the_totals(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a majority is slow: the answer is 503, and the order is stored all the same, later than the totals."""
    first = await push(ingest, order_body, "1")
    await totals_settled(store)
    insert, late = Collection.insert_each, asyncio.Event()

    async def given_up(collection: Collection, rows: list[Row]) -> dict[int, CrmError]:
        if collection.raw.name != Order.collection_name() or late.is_set():
            return await insert(collection, rows)
        late.set()

        async def arrives() -> None:
            await asyncio.sleep(1.0)  # longer than the totals rest
            await insert(collection, rows)

        arriving.append(asyncio.create_task(arrives()))
        raise Unavailable("away")

    arriving: list[asyncio.Task[None]] = []
    monkeypatch.setattr(Collection, "insert_each", given_up)
    refused = await ingest.put("/api/v1/orders/shop/2", json=order_body)
    assert refused.status_code == 503
    await arriving[0]
    again = await push(ingest, order_body, "2")
    assert again["result"] == "unchanged"
    assert (await stats(sales, first["customer_id"]))["orders_count"] == 2
    assert store.root["stats_due"].count_documents({}) == 1, "for whoever takes it over"


@pytest.mark.goes_around
async def test_an_order_that_cannot_be_added_up_stops_nothing(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    owner = customer_row(email="broken@example.com")
    store.root["customers"].insert_one(owner)
    broken: dict[str, Any] = {
        **plain_order_row("1.00", customer_id=owner["_id"]), "total": Decimal128("Infinity"), "status": "refunded",
    }  # fmt: skip
    store.root.command("insert", "orders", documents=[broken], bypassDocumentValidation=True)
    await push(ingest, order_body, "1", customer={"id": owner["_id"]})
    good(await sales.get(f"/api/v1/customers/{owner['_id']}"))
    order = await push(ingest, order_body, "2", customer={"email": "bob@example.com"})
    await totals_settled(store)
    assert (await stats(sales, order["customer_id"]))["orders_count"] == 1
