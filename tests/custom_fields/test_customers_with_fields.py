"""Customers whose attributes are custom fields: what staff and machines may send, and how they are found."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from crm.database.driver import Database
from crm.identities import service as identities
from tests.custom_fields.conftest import URL, Definer
from tests.fixtures.answers import good, refused, walk
from tests.fixtures.lines import results, send_lines
from tests.fixtures.store import Store
from tests.identities.speaking import BACKEND, BROWSER, at, identify, tracking

pytestmark = pytest.mark.mongo

CUSTOMERS = "/api/v1/customers"
#: Type → a value, one that is none, and what else the definition says.
FIELDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "text": ("x", 5, {}),
    "integer": (42, 42.5, {}),
    "number": (42.5, "42.5", {}),
    "boolean": (False, 0, {}),
    "date": ("2024-02-29", "2026-02-29", {}),
    "choice": ("40", "41", {"choices": ["39", "40"]}),
}


async def made(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    out: dict[str, Any] = good(await client.post(CUSTOMERS, json={"last_name": "Example", **fields}), 201)
    return out


@pytest.mark.parametrize("type_", FIELDS)
async def test_a_value_is_what_its_field_holds(
    type_: str, definer: Definer, sales: httpx.AsyncClient, ingest: httpx.AsyncClient, store: Store
) -> None:
    right, wrong, more = FIELDS[type_]
    await definer.define("own", type_, **more)
    for client in (sales, ingest):
        body = {"last_name": "Example", "attributes": {"own": wrong, "other": wrong}}
        refused(await client.post(CUSTOMERS, json=body), 422, "invalid_input", "/attributes/own")
        assert store.root["customers"].count_documents({}) == 0
        ann = await made(client, attributes={"own": right, "other": wrong})
        assert ann["attributes"] == {"own": right, "other": wrong}
        url = f"{CUSTOMERS}/{ann['id']}"
        patch = {"attributes": {"own": wrong}, "version": 1}
        refused(await client.patch(url, json=patch), 422, "invalid_input", "/attributes/own")
        without = good(await client.patch(url, json={"attributes": {"own": None}, "version": 1}))
        assert without["attributes"] == {"other": wrong}
        store.root["customers"].delete_many({})


async def test_staff_give_what_is_required_and_machines_give_what_they_have(
    definer: Definer, sales: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: dict[str, Any]
) -> None:
    await definer.define("size", "integer", required=True)
    refused(await sales.post(CUSTOMERS, json={"last_name": "E"}), 422, "invalid_input", "/attributes/size")
    bob = await made(sales, attributes={"size": 42})
    url = f"{CUSTOMERS}/{bob['id']}"
    without: list[dict[str, Any]] = [{"attributes": {"size": None}}, {"attributes": None}]
    for patch in without:
        refused(await sales.patch(url, json={**patch, "version": 1}), 422, "invalid_input", "/attributes/size")
    assert good(await sales.patch(url, json={"attributes": {"colour": "red"}, "version": 1}))["version"] == 2
    # An order matters more than a field.
    good(await ingest.put("/api/v1/orders/shop/1", json=order_body), 201)
    ann = await made(ingest)
    ann_url = f"{CUSTOMERS}/{ann['id']}"
    # What concerns no attribute is not held up by one that is lacking.
    assert good(await sales.patch(ann_url, json={"tags": ["vip"], "version": 1}))["tags"] == ["vip"]
    patch = {"attributes": {"colour": "red"}, "version": 2}
    refused(await sales.patch(ann_url, json=patch), 422, "invalid_input", "/attributes/size")
    assert good(await ingest.patch(ann_url, json=patch))["attributes"] == {"colour": "red"}


async def test_of_many_each_line_is_held_to_the_fields(
    definer: Definer, admin: httpx.AsyncClient, store: Store
) -> None:
    await definer.define("size", "integer", required=True)
    named = [{"email": f"{name}@example.com"} for name in ("ann", "bob", "cid")]
    lines = [{**named[0], "attributes": {"size": 42}}, {**named[1], "attributes": {"size": "XL"}}, named[2]]
    rows, _ = await send_lines(admin, "customers", *lines)
    assert results(rows) == ["created", "refused", "created"]
    assert [error["pointer"] for error in rows[1]["errors"]] == ["/attributes/size"]
    again, _ = await send_lines(admin, "customers", {**named[2], "attributes": {"size": "XL", "colour": "red"}})
    assert results(again) == ["refused"]


@pytest.mark.parametrize("sender", [BROWSER, BACKEND], ids=["browser", "backend"])
async def test_of_what_tracking_says_the_rest_is_taken(
    sender: Any, definer: Definer, admin: httpx.AsyncClient, database: Database, store: Store
) -> None:
    await definer.define("size", "integer")
    with tracking(database):
        await identities.identify(sender, [identify("u-1", email="ann@example.com", size="XL", plan="gold")])
    (row,) = store.root["customers"].find({})
    assert row["attributes"] == {"plan": "gold"}
    assert row["email"] == "ann@example.com"
    with tracking(database):
        await identities.identify(sender, [identify("u-1", when=at(1), size=42, plan="silver", first_name="Ann")])
    (row,) = store.root["customers"].find({})
    assert row["attributes"] == {"plan": "silver", "size": 42}
    assert row["first_name"] == "Ann"


@pytest.mark.parametrize("type_", FIELDS)
async def test_customers_are_found_by_a_field(type_: str, definer: Definer, sales: httpx.AsyncClient) -> None:
    right, _, more = FIELDS[type_]
    await definer.define("own", type_, indexed=True, **more)
    found = [(await made(sales, attributes={"own": right}))["id"] for _ in range(3)]
    await made(sales, attributes={"other": right})
    text = right if isinstance(right, str) else json.dumps(right)
    for limit in (1, 2, 50):
        assert await walk(sales, CUSTOMERS, **{"field.own": text}, limit=limit) == found[::-1]
        assert await walk(sales, CUSTOMERS, **{"field.own": text}, sort="created_at", limit=limit) == found
    assert good(await sales.get(CUSTOMERS, params={"field.own": text, "count": "true"}))["count"] == 3


async def test_only_by_fields_that_are_indexed(
    definer: Definer, admin: httpx.AsyncClient, sales: httpx.AsyncClient, analyst: httpx.AsyncClient
) -> None:
    await definer.define("size", "integer", indexed=True)
    await definer.define("colour")
    await made(sales, attributes={"size": 42, "colour": "red"})
    for query in ({"field.colour": "red"}, {"field.none": "x"}, {"field.": "x"}, {"field.size": "42", "tag": "vip"},
                  {"field.size": "42", "field.colour": "red"}, {"field.size": "42", "sort": "updated_at"}):  # fmt: skip
        problem = refused(await sales.get(CUSTOMERS, params=query), 400, "unreadable_request")
        assert "field.size sorted by created_at or -created_at" in problem["detail"]
        assert "field.colour" not in problem["detail"]
    refused(await sales.get(CUSTOMERS, params={"field.size": "XL"}), 422, "invalid_input", "field.size")
    refused(await analyst.get(CUSTOMERS, params={"field.size": "42"}), 403, "forbidden")
    refused(await sales.get("/api/v1/products", params={"field.size": "42"}), 400, "unreadable_request")
    assert "field.…" in refused(await sales.get(CUSTOMERS, params={"fields": "x"}), 400, "unreadable_request")["detail"]
    good(await admin.patch(f"{URL}/size", json={"indexed": False, "version": 1}))
    refused(await sales.get(CUSTOMERS, params={"field.size": "42"}), 400, "unreadable_request")
