"""The history of a customer: every edit, whoever made it, each once, with nothing lost between two of them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from crm.customers import recording
from crm.database.driver import Database, acting_as
from crm.identity import Role
from tests.fixtures.answers import good, pages, refused
from tests.fixtures.lines import NDJSON, ndjson
from tests.fixtures.rows import Row
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

URL = "/api/v1/customers"
ANN = {"email": "ann@example.com", "first_name": "Ann", "last_name": "Example"}


async def changes(client: httpx.AsyncClient, customer_id: str, **params: Any) -> list[Row]:
    return [change for page in await pages(client, f"{URL}/{customer_id}/changes", **params) for change in page]


def told(change: Row) -> list[tuple[str, Any, Any]]:
    return [(one["field"], one["before"], one["after"]) for one in change["changes"]]


async def test_who_changed_what_when_before_and_after(sales: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    customer = good(await sales.post(URL, json={**ANN, "attributes": {"tier": "gold", "points": 3}}), 201)
    path = f"{URL}/{customer['id']}"
    assert await changes(sales, customer["id"]) == []
    first = {"first_name": "Anna", "tags": ["vip"], "attributes": {"points": 4, "tier": None}, "version": 1}
    good(await sales.patch(path, json=first))
    consent = {"channel": "email", "status": "granted", "at": "2026-01-31T12:00:00Z", "source": "phone"}
    good(await admin.post(f"{path}/consents", json=consent), 201)
    good(await admin.patch(path, json={"last_name": None, "version": 3}))
    last, second, earliest = await changes(sales, customer["id"])
    assert told(earliest) == [
        ("first_name", "Ann", "Anna"),
        ("tags", None, ["vip"]),
        ("attributes.points", 3, 4),
        ("attributes.tier", "gold", None),
    ]
    assert told(second) == [("consents", None, {**consent, "at": "2026-01-31T12:00:00.000Z"})]
    assert told(last) == [("last_name", "Example", None)]
    me = good(await sales.get("/api/v1/auth/me"))
    assert earliest["by"] == {"id": me["id"], "name": "sales", "kind": "user"}
    assert [change["version"] for change in (earliest, second, last)] == [2, 3, 4]
    assert (earliest["source"], last["by"]["name"]) == (None, "admin")
    assert earliest["at"] <= second["at"] <= last["at"] == good(await sales.get(path))["updated_at"]


async def test_nothing_is_told_of_an_edit_that_changes_nothing(sales: httpx.AsyncClient) -> None:
    customer_id = good(await sales.post(URL, json=ANN), 201)["id"]
    good(await sales.patch(f"{URL}/{customer_id}", json={"first_name": "Anna", "version": 1}))
    good(await sales.patch(f"{URL}/{customer_id}", json={"first_name": "Anna", "version": 2}))
    refused(await sales.patch(f"{URL}/{customer_id}", json={"first_name": "X", "version": 1}), 412, "stale_version")
    (only,) = await changes(sales, customer_id)
    assert told(only) == [("first_name", "Ann", "Anna")]


async def test_a_push_that_fills_in_is_told_with_its_key_and_source(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Row
) -> None:
    bare = {**order_body, "customer": {"external_id": "c-1", "email": "ann@example.com"}}
    del bare["shipping_address"]
    customer_id = good(await ingest.put("/api/v1/orders/shop/1", json=bare), 201)["customer_id"]
    for number in (2, 3):
        good(await ingest.put(f"/api/v1/orders/shop/{number}", json=order_body), 201)
    (change,) = await changes(sales, customer_id)
    me = good(await ingest.get("/api/v1/auth/me"))
    assert (change["by"], change["source"]) == ({"id": me["id"], "name": "ingest", "kind": "key"}, "shop")
    assert {field for field, _, _ in told(change)} == {"first_name", "last_name", "addresses"}
    assert [before for _, before, _ in told(change)] == [None, None, None]


async def test_a_line_of_a_file_is_told(ingest: httpx.AsyncClient, sales: httpx.AsyncClient) -> None:
    for line in ({"email": "ann@example.com"}, {"email": "ANN@example.com", "first_name": "Ann", "tags": ["a"]}):
        answer = await ingest.post(f"{URL}/bulk", content=ndjson(line), headers=NDJSON)
        assert answer.status_code == 200
    (customer,) = good(await sales.get(URL))["items"]
    (change,) = await changes(sales, customer["id"])
    assert told(change) == [("first_name", None, "Ann"), ("tags", None, ["a"])]
    assert change["by"]["kind"] == "key"


async def test_what_an_identify_says_is_told(ingest: httpx.AsyncClient, sales: httpx.AsyncClient) -> None:
    for name in ("Ann", "Anna"):
        message = {"type": "identify", "messageId": name, "userId": "u-1", "traits": {"firstName": name}}
        good(await ingest.post("/v1/batch", json={"batch": [message]}))
    (customer,) = good(await sales.get(URL))["items"]
    (change,) = await changes(sales, customer["id"])
    assert told(change) == [("first_name", "Ann", "Anna")]
    assert (change["by"]["name"], change["source"]) == ("ingest", "api")


async def test_pages_of_any_size_are_the_same_history(sales: httpx.AsyncClient) -> None:
    customer_id = good(await sales.post(URL, json=ANN), 201)["id"]
    for version in range(1, 8):
        good(await sales.patch(f"{URL}/{customer_id}", json={"first_name": f"Ann {version}", "version": version}))
    whole = await changes(sales, customer_id)
    assert [change["version"] for change in whole] == [8, 7, 6, 5, 4, 3, 2]
    for limit in (1, 2, 6, 7):
        assert await changes(sales, customer_id, limit=limit) == whole
    counted = good(await sales.get(f"{URL}/{customer_id}/changes", params={"count": "true", "limit": 1}))
    assert counted["count"] == 7
    refused(await sales.get(f"{URL}/{customer_id}/changes?sort=at"), 400, "unreadable_request")
    refused(await sales.get(f"{URL}/cus_nobody/changes"), 404, "not_found")


async def test_whoever_edits_at_once_no_edit_is_lost(
    sales: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: Row
) -> None:
    customer_id = good(await sales.post(URL, json={"email": "ann@example.com"}), 201)["id"]

    async def tag(number: int) -> None:
        while True:
            now = good(await sales.get(f"{URL}/{customer_id}"))
            body = {"tags": [*now["tags"], f"t{number}"], "version": now["version"]}
            if (await sales.patch(f"{URL}/{customer_id}", json=body)).status_code == 200:
                return

    async def consent(number: int) -> None:
        body = {"channel": "email", "status": "granted", "at": f"2026-01-31T12:00:0{number}Z", "source": "phone"}
        good(await sales.post(f"{URL}/{customer_id}/consents", json=body), 201)

    async def push(number: int) -> None:
        address = {**order_body["shipping_address"], "line1": f"{number} High Street"}
        named = {"email": "ann@example.com", "external_id": f"c-{number}"}
        body = {**order_body, "customer": named, "shipping_address": address}
        good(await ingest.put(f"/api/v1/orders/shop/{number}", json=body), 201)

    await asyncio.gather(*(act(number) for number in range(8) for act in (tag, consent, push)))
    customer = good(await sales.get(f"{URL}/{customer_id}"))
    history = (await changes(sales, customer_id))[::-1]
    versions = [change["version"] for change in history]
    assert len(set(versions)) == len(versions)
    assert versions == sorted(versions)
    assert versions[-1] == customer["version"]
    fields: dict[str, Any] = {}
    for change in history:
        for field, before, after in told(change):
            if field == "consents":
                fields.setdefault("consents", []).append(after)
                continue
            assert fields.get(field) == before, f"{field} of version {change['version']}"
            fields[field] = after
    assert fields["tags"] == customer["tags"]
    assert fields["external_ids"] == customer["external_ids"]
    assert len(fields["consents"]) == 8
    assert len(fields["addresses"]) == len(customer["addresses"]) == 8


async def test_who_dies_between_keeping_and_editing_leaves_one_history(
    sales: httpx.AsyncClient, database: Database, store: Store
) -> None:
    customer_id = good(await sales.post(URL, json=ANN), 201)["id"]
    good(await sales.patch(f"{URL}/{customer_id}", json={"first_name": "Anna", "version": 1}))
    with acting_as(database, Role.SALES):
        row = store.root["customers"].find_one({"_id": customer_id})
        assert row is not None
        for _ in range(2):
            await recording.keep([row])
    assert store.root["customer_changes"].count_documents({}) == 1
    assert len(await changes(sales, customer_id)) == 1
    good(await sales.patch(f"{URL}/{customer_id}", json={"first_name": "Anne", "version": 2}))
    assert [told(change)[0][2] for change in await changes(sales, customer_id)] == ["Anne", "Anna"]


async def test_the_history_goes_with_the_customer(admin: httpx.AsyncClient, store: Store) -> None:
    customer_id = good(await admin.post(URL, json=ANN), 201)["id"]
    for version in range(1, 4):
        good(await admin.patch(f"{URL}/{customer_id}", json={"first_name": f"Ann {version}", "version": version}))
    assert store.root["customer_changes"].count_documents({}) == 2
    assert (await admin.delete(f"{URL}/{customer_id}")).status_code == 204
    assert store.root["customer_changes"].count_documents({}) == 0
