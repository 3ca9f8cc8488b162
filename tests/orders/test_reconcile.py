"""GET /api/v1/orders/reconcile, the list of a source's orders, and names that look like parts of our own paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from crm.app import create_app
from crm.database.driver import Database
from tests.fixtures.answers import good, pages, refused, walk
from tests.fixtures.api import client_of, running
from tests.fixtures.lines import send_lines
from tests.fixtures.shop import ORDERS, Body, push, refund
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

URL = f"{ORDERS}/reconcile"
#: Orders that are called like something of ours; a path may follow.
NAMES = [
    "refunds", "refunds/1", "refunds/1/2", "reconcile", "bulk", "history", "orders", "reconcile/1", "bulk/refunds",
    "history/refunds", "1/refunds",
]  # fmt: skip


async def placed(client: httpx.AsyncClient, body: Body, external_id: str, day: int, source: str = "shop") -> Body:
    changed = {**body, "placed_at": f"2026-01-{day:02}T00:00:00Z"}
    return dict(good(await client.put(f"{ORDERS}/{source}/{external_id}", json=changed), 201))


async def test_all_that_a_shop_needs_to_compare(
    ingest: httpx.AsyncClient, admin: httpx.AsyncClient, order_body: Body
) -> None:
    pushed = await placed(ingest, order_body, "a", 1)
    bare = {**order_body, "source_updated_at": None}
    other = await placed(ingest, bare, "b", 2)
    await placed(ingest, order_body, "c", 3, source="pos")
    (found,) = await pages(ingest, URL, source="shop")
    names = ("external_id", "id", "placed_at", "source_updated_at", "content_hash")
    assert found == [{name: order[name] for name in names} for order in (pushed, other)]
    # What staff and refunds change is not the shop's content; what the shop changes is.
    good(await refund(ingest, pushed, amount="1"), 201)
    good(await admin.patch(f"{ORDERS}/{other['id']}", json={"note": "x", "version": 1}))
    assert (await pages(ingest, URL, source="shop"))[0] == found
    edited = await push(ingest, order_body, "a", number="7")
    assert edited["content_hash"] != pushed["content_hash"]
    (again,) = await pages(ingest, URL, source="shop")
    assert {row["external_id"]: row["content_hash"] for row in again}["a"] == edited["content_hash"]


async def test_the_window_and_its_pages(ingest: httpx.AsyncClient, order_body: Body) -> None:
    for number in range(7):
        await placed(ingest, order_body, f"o{number}", 1 + number // 2)
    begin, middle, end = "2026-01-01T00:00:00Z", "2026-01-02T01:00:00+01:00", "2026-01-04T00:00:00Z"
    for params, expected in (
        ({}, 7), ({"from": begin}, 7), ({"from": middle}, 5), ({"to": middle}, 2), ({"to": begin}, 0),
        ({"from": begin, "to": end}, 6), ({"from": middle, "to": end}, 4), ({"from": end}, 1),
        ({"from": end, "to": begin}, 0), ({"from": middle, "to": middle}, 0),
    ):  # fmt: skip
        whole = await walk(ingest, URL, key="external_id", source="shop", **params)
        assert len(whole) == expected, params
        for limit in (1, 2, 3):
            assert await walk(ingest, URL, key="external_id", source="shop", limit=limit, **params) == whole
    found = [row["placed_at"] for page in await pages(ingest, URL, source="shop", limit=3) for row in page]
    assert found == sorted(found)
    counted = good(await ingest.get(URL, params={"source": "shop", "limit": 2, "count": "true", "from": middle}))
    assert (counted["count"], len(counted["items"])) == (5, 2)
    assert await walk(ingest, URL, source="nobody") == []


@pytest.mark.parametrize(
    "query",
    ["", "source=", "source=a%20b", "source=$ne", "source[$ne]=x", "source=shop&since=2026-01-01T00:00:00Z",
     "source=shop&from=2026-01-01", "source=shop&to=leak", "source=shop&from=1767225600", "source=shop&sort=total",
     "source=shop&cursor=x", "source=shop&limit=0", "source=shop&status=paid", "source=shop&source=pos",
     "source=shop&from_=2026-01-01T00:00:00Z"],
)  # fmt: skip
async def test_what_cannot_be_asked(query: str, ingest: httpx.AsyncClient) -> None:
    refused(await ingest.get(f"{URL}?{query}"), 400, "unreadable_request")


async def test_what_is_missing_or_wrong_is_named(ingest: httpx.AsyncClient) -> None:
    refused(await ingest.get(URL), 400, "unreadable_request", "source")
    for name in ("from", "to"):
        answer = await ingest.get(URL, params={"source": "shop", name: "leak"})
        assert "leak" not in str(refused(answer, 400, "unreadable_request", name))


async def test_the_list_of_one_source(ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body) -> None:
    for number in range(5):
        await placed(ingest, order_body, f"s{number}", number + 1)
        await placed(ingest, order_body, f"p{number}", number + 1, source="pos")
    for limit in (1, 2, 50):
        found = await walk(sales, ORDERS, key="external_id", source="shop", limit=limit)
        assert found == ["s4", "s3", "s2", "s1", "s0"]
    narrowed: dict[str, Any] = {"source": "pos", "placed_after": "2026-01-02T00:00:00Z"}
    narrowed["placed_before"] = "2026-01-04T00:00:00Z"
    assert await walk(sales, ORDERS, key="external_id", sort="placed_at", **narrowed) == ["p1", "p2"]
    answer = await sales.get(ORDERS, params={"source": "shop", "status": "paid"})
    refused(answer, 400, "unreadable_request", "source", "status")


@pytest.mark.parametrize("source", ["shop", "reconcile", "bulk", "history", "refunds", "orders"])
async def test_systems_may_call_an_order_as_we_call_a_route(
    source: str, ingest: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    for name in NAMES:
        url = f"{ORDERS}/{source}/{name}"
        made = good(await ingest.put(url, json=order_body), 201)
        assert (made["source"], made["external_id"]) == (source, name)
        assert good(await ingest.put(url, json=order_body))["result"] == "unchanged"
        assert good(await ingest.get(url))["id"] == made["id"]
        good(await refund(ingest, made, amount="1"), 201)
    assert store.root["orders"].count_documents({"source": source}) == len(NAMES)
    assert len(await walk(ingest, URL, source=source)) == len(NAMES)


async def test_an_order_has_a_thousand_items_at_most(ingest: httpx.AsyncClient, order_body: Body, store: Store) -> None:
    item = {"sku": "A", "title": "A", "quantity": 1, "unit_price": "0.01"}
    nothing = {"shipping": "0", "discount": "0", "tax": "0"}

    def many(count: int) -> Body:
        return {**order_body, **nothing, "items": [item] * count, "total": f"{count / 100:.2f}"}

    for count in (1_001, 10_000, 10_001):
        answer = await ingest.put(f"{ORDERS}/shop/1", json=many(count))
        (error,) = refused(answer, 422, "invalid_input", "/items")["errors"]
        assert error["detail"] == "An order has at most 1,000 items."
    rows, _ = await send_lines(ingest, "orders", {**many(10_001), "source": "shop", "external_id": "1"})
    assert rows[0]["errors"] == [error]
    assert store.root["orders"].count_documents({}) == 0
    order = await push(ingest, many(1_000))
    assert (len(order["items"]), order["total"]) == (1_000, "10.00")
    assert await push(ingest, many(1_000)) == {**order, "result": "unchanged"}


async def test_an_operator_sets_how_many_items_an_order_may_have(
    store: Store, database: Database, credentials: Mapping[str, str], order_body: Body
) -> None:
    settings = store.settings.model_copy(update={"most_order_items": 2})
    async with (
        running(create_app(settings, database=database)) as app,
        client_of(app, Authorization=f"Bearer {credentials['ingest']}") as client,
    ):
        await push(client, order_body)
        three = [*order_body["items"], {"sku": "CUP", "title": "Cup", "quantity": 1, "unit_price": "0"}]
        answer = await client.put(f"{ORDERS}/shop/2", json={**order_body, "items": three})
        assert "at most 2 items" in str(refused(answer, 422, "invalid_input", "/items"))
