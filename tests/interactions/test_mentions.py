"""What interactions are about: orders and products that are there, found by them; and interactions that are deleted."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.fixtures.answers import good, refused, walk
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

Body = dict[str, Any]
URL = "/api/v1/interactions"
MUG = {"kind": "product", "id": None, "sku": "MUG"}


@pytest_asyncio.fixture
async def order(ingest: httpx.AsyncClient, order_body: Body) -> Body:
    """An order and the product of its first line; its customer is whom the talks are with."""
    good(await ingest.put("/api/v1/products/MUG", json={"title": "Mug"}), 201)
    made: Body = good(await ingest.put("/api/v1/orders/shop/1", json=order_body), 201)
    return made


def about(order: Body) -> Body:
    return {"kind": "order", "id": order["id"], "sku": None}


async def note(client: httpx.AsyncClient, order: Body, *mentions: Body, **fields: Any) -> Body:
    named = [{name: value for name, value in m.items() if value is not None} for m in mentions]
    body = {"customer_id": order["customer_id"], "kind": "note", "body": "b", "mentions": named, **fields}
    made: Body = good(await client.post(URL, json=body), 201)
    return made


async def test_talks_are_found_by_what_they_are_about(order: Body, sales: httpx.AsyncClient) -> None:
    of_order = [await note(sales, order, about(order), occurred_at=f"2026-01-0{n}T00:00:00Z") for n in (2, 1, 3)]
    both = await note(sales, order, about(order), MUG, MUG, occurred_at="2026-01-04T00:00:00Z")
    assert both["mentions"] == [about(order), MUG]
    await note(sales, order)
    expected = [both["id"], *(of_order[n]["id"] for n in (2, 0, 1))]
    for limit in (1, 3, 50):
        assert await walk(sales, URL, mentions=f"order:{order['id']}", limit=limit) == expected
        assert (
            await walk(sales, URL, mentions=f"order:{order['id']}", sort="occurred_at", limit=limit) == expected[::-1]
        )
    assert await walk(sales, URL, mentions="product:MUG") == [both["id"]]
    assert await walk(sales, URL, mentions=f"product:{order['id']}") == []
    assert await walk(sales, URL, mentions="order:MUG") == []


async def test_what_is_mentioned_has_to_exist(order: Body, sales: httpx.AsyncClient, store: Store) -> None:
    mentions = [
        {"kind": "order", "id": order["id"]},
        {"kind": "order", "id": "ord_none"},
        {"kind": "product", "sku": "X"},
    ]
    body = {"customer_id": order["customer_id"], "kind": "note", "body": "b", "mentions": mentions}
    refused(await sales.post(URL, json=body), 422, "invalid_input", "/mentions/1", "/mentions/2")
    assert store.root["interactions"].count_documents({}) == 0
    made = await note(sales, order, MUG)
    answer = await sales.patch(f"{URL}/{made['id']}", json={"mentions": mentions, "version": 1})
    refused(answer, 422, "invalid_input", "/mentions/1", "/mentions/2")


@pytest.mark.parametrize(
    "mention",
    [{"kind": "order"}, {"kind": "order", "sku": "MUG"}, {"kind": "product", "id": "ord_1"},
     {"kind": "order", "id": "ord_1", "sku": "MUG"}],
)  # fmt: skip
async def test_a_mention_names_one_thing(mention: Body, order: Body, sales: httpx.AsyncClient) -> None:
    body = {"customer_id": order["customer_id"], "kind": "note", "body": "b", "mentions": [mention]}
    refused(await sales.post(URL, json=body), 422, "invalid_input", "/mentions/0")


async def test_mentions_are_replaced_as_a_whole(order: Body, sales: httpx.AsyncClient, store: Store) -> None:
    made = await note(sales, order, about(order))
    url = f"{URL}/{made['id']}"
    kept = good(await sales.patch(url, json={"subject": "s", "version": 1}))
    assert kept["mentions"] == [about(order)]
    both = [{"kind": "product", "sku": "MUG"}, {"kind": "order", "id": order["id"]}]
    assert good(await sales.patch(url, json={"mentions": both, "version": 2}))["mentions"] == [MUG, about(order)]
    # A product that is gone since may stay mentioned, but not be mentioned anew.
    store.root["products"].delete_one({"_id": "MUG"})
    assert good(await sales.patch(url, json={"mentions": both[:1], "version": 3}))["mentions"] == [MUG]
    assert good(await sales.patch(url, json={"mentions": None, "version": 4}))["mentions"] == []
    refused(await sales.patch(url, json={"mentions": both[:1], "version": 5}), 422, "invalid_input", "/mentions/0")


async def test_an_admin_deletes_what_should_not_have_been_noted(
    order: Body, sales: httpx.AsyncClient, admin: httpx.AsyncClient, store: Store
) -> None:
    body = {"customer_id": order["customer_id"], "kind": "note", "body": "Her card is 4111 1111 1111 1111"}
    made = good(await sales.post(URL, json=body, headers={"Idempotency-Key": "k1"}), 201)
    other = good(await sales.post(URL, json=body, headers={"Idempotency-Key": "k2"}), 201)
    url = f"{URL}/{made['id']}"
    refused(await sales.delete(url), 403, "forbidden")
    assert (await admin.delete(url)).status_code == 204
    refused(await sales.get(url), 404, "not_found")
    refused(await admin.delete(url), 404, "not_found")
    assert await walk(sales, URL, customer_id=order["customer_id"]) == [other["id"]]
    # Nor is it in the answer that is kept for who asks again; the other's is.
    kept = [row["location"] for row in store.root["idempotency_keys"].find({})]
    assert kept == [f"{URL}/{other['id']}"]
