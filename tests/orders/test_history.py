"""GET /api/v1/order-changes: what an order was before, who changed it and when."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.fixtures.answers import good, pages, refused
from tests.fixtures.shop import Body, patch, push, refund
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

URL = "/api/v1/order-changes"


async def history(client: httpx.AsyncClient, order: Body, **params: Any) -> list[Body]:
    found = await pages(client, URL, order_id=order["id"], **params)
    return [change for page in found for change in page]


def fields(change: Body) -> dict[str, tuple[Any, Any]]:
    return {one["field"]: (one["before"], one["after"]) for one in change["changes"]}


def at(second: int) -> str:
    return f"2026-03-01T00:{second // 60:02}:{second % 60:02}Z"


async def test_every_change_says_who_what_and_when(
    ingest: httpx.AsyncClient, admin: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    order = await push(ingest, order_body)
    assert await history(admin, order) == []
    edited = await push(ingest, order_body, note="Gift", source_updated_at=at(1), shipping_address=None)
    moved = await patch(admin, edited, status="fulfilled")
    given = good(await refund(ingest, order, amount="5"), 201)
    found = await history(admin, order)
    assert [change["version"] for change in found] == [4, 3, 2]
    key, user = edited["changed_by"], moved["changed_by"]
    assert key.startswith("key_")
    assert user.startswith("usr_")
    assert [change["by"] for change in found] == [key, user, key]
    assert [change["at"] for change in found] == [given["updated_at"], moved["updated_at"], edited["updated_at"]]
    assert fields(found[0]) == {"status": ("fulfilled", "partially_refunded"), "refunded": ("0.00", "5.00")}
    assert fields(found[1]) == {"status": ("paid", "fulfilled"), "source_status": ("paid", "fulfilled")}
    assert fields(found[2]) == {
        "note": (None, "Gift"),
        "source_updated_at": (order["source_updated_at"], at(1)),
        "shipping_address": (order["shipping_address"], None),
    }


async def test_amounts_and_items_are_shown_as_in_the_order(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    first = await push(ingest, order_body)
    items = [*order_body["items"], {"sku": "CUP", "title": "Cup", "quantity": 1, "unit_price": "2"}]
    second = await push(ingest, order_body, items=items, total="17.19")
    (change,) = await history(sales, first)
    assert fields(change) == {"items": (first["items"], second["items"]), "total": ("15.19", "17.19")}


async def test_what_changes_nothing_leaves_no_record(ingest: httpx.AsyncClient, order_body: Body, store: Store) -> None:
    first = await push(ingest, order_body)
    again = await push(ingest, order_body)
    assert again == {**first, "result": "unchanged"}
    stale = await push(ingest, order_body, source_updated_at="2026-01-01T00:00:00Z", note="old")
    assert stale == {**first, "result": "stale", "stale": True}
    assert store.root["order_versions"].count_documents({}) == 0


async def test_pages_meet_without_a_gap(ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body) -> None:
    order = await push(ingest, order_body)
    for number in range(1, 6):
        await push(ingest, order_body, note=str(number), source_updated_at=at(number))
    whole = await history(sales, order)
    assert [fields(change)["note"] for change in whole] == [
        ("4", "5"), ("3", "4"), ("2", "3"), ("1", "2"), (None, "1"),
    ]  # fmt: skip
    for limit in (1, 2, 3):
        assert await history(sales, order, limit=limit) == whole


async def test_sixty_versions_at_once_leave_the_newest_and_each_that_it_replaced(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    pushes = [push(ingest, order_body, note=str(n), source_updated_at=at(n)) for n in range(60)]
    answers = await asyncio.gather(*pushes)
    results = Counter(answer["result"] for answer in answers)
    assert results["created"] == 1
    (row,) = store.root["orders"].find({})
    assert (row["note"], row["version"]) == ("59", results["created"] + results["updated"])
    found = await history(sales, answers[0], limit=100)
    assert [change["version"] for change in found] == list(range(row["version"], 1, -1))
    notes = [fields(change)["note"] for change in found]
    assert notes[0][1] == "59"
    assert all(later[0] == earlier[1] for later, earlier in pairwise(notes)), "a chain"
    assert all(int(before) < int(after) for before, after in notes)


async def test_a_change_that_failed_is_not_shown(
    ingest: httpx.AsyncClient, admin: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    """It was written down before the order was to be replaced, which then somebody else did."""
    order = await push(ingest, order_body)
    edited = await push(ingest, order_body, note="x", source_updated_at=at(1))
    (record,) = store.root["order_versions"].find({})
    store.root["order_versions"].insert_one(
        {**record, "_id": "orv_SECOND", "version": 2, "note": "x", "changed_at": record["changed_at"]}
    )
    assert [change["version"] for change in await history(admin, order)] == [2]
    store.root["order_versions"].delete_one({"_id": "orv_SECOND"})
    await patch(admin, edited, note="y")
    assert [change["version"] for change in await history(admin, order)] == [3, 2]


async def test_a_deleted_customer_takes_what_is_personal_out_of_it(
    ingest: httpx.AsyncClient, admin: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    order = await push(ingest, order_body, note="Ring at Ann's")
    edited = await push(ingest, order_body, note="Knock", number="1002", source_updated_at=at(1))
    good(await refund(ingest, edited, amount="1", reason="Ann was ill"), 201)
    answer = await admin.delete(f"/api/v1/customers/{order['customer_id']}")
    assert answer.status_code in {200, 204}, answer.text
    found = await history(admin, order)
    assert not {"note", "shipping_address", "customer_id"} & {name for change in found for name in fields(change)}
    # What it cost and how it was called is still there, each change of it.
    assert ("1001", "1002") in [fields(change).get("number") for change in found]
    assert ("paid", "partially_refunded") in [fields(change).get("status") for change in found]
    stored = [*store.root["orders"].find({}), *store.root["order_versions"].find({})]
    for word in ("Ann", "Knock", "Leeds", order["customer_id"]):
        assert word not in repr(stored)


async def test_what_cannot_be_read(ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body) -> None:
    order = await push(ingest, order_body)
    refused(await sales.get(URL, params={"order_id": "ord_nobody"}), 404, "not_found")
    refused(await sales.get(URL), 400, "unreadable_request", "order_id")
    for params in ({"sort": "version"}, {"sort": "-at"}, {"cursor": "x"}, {"limit": "0"}, {"customer_id": "x"}):
        answer = await sales.get(URL, params={"order_id": order["id"], **params})
        refused(answer, 400, "unreadable_request")
    assert good(await sales.get(URL, params={"order_id": order["id"], "sort": "-version", "count": "true"})) == {
        "items": [], "next_cursor": None, "count": 0, "count_capped": False,
    }  # fmt: skip


async def test_times_of_versions_follow_each_other(ingest: httpx.AsyncClient, order_body: Body, store: Store) -> None:
    first = await push(ingest, order_body)
    await push(ingest, order_body, note="x")
    (record,) = store.root["order_versions"].find({})
    made = datetime.fromisoformat(first["updated_at"])
    assert abs(record["changed_at"] - made) < timedelta(milliseconds=1)
