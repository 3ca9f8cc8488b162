"""Shopify's privacy topics are carried out: people and shops are erased, data is made ready to be fetched."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from crm.app import create_app
from crm.database.driver import Database, acting_as
from crm.identity import Role
from crm.people import carrying_out
from tests.connectors.fixtures import SHOP, connection_body
from tests.fixtures.answers import good, refused
from tests.fixtures.api import client_of, running
from tests.fixtures.store import Store
from tests.people.living import EMAIL, PHONE, Life, order_of, shopify_order_of, traces
from tests.people.test_export import unpacked

pytestmark = pytest.mark.mongo
Body = dict[str, Any]
URL = "/api/v1/privacy-requests"
PERSON: Body = {"id": 770077007, "email": EMAIL, "phone": PHONE}


async def ask(zoe: Life, topic: str, **body: Any) -> None:
    """Shopify asks, and all is carried out."""
    named = {"shop_domain": SHOP, "shop_id": 1, **body}
    await zoe.deliver(topic, named, f"ask-{topic}-{len(str(body))}")
    await zoe.carry_out()
    with acting_as(zoe.database, Role.ADMIN):
        await carrying_out.carry_out_all()


async def listed(admin: httpx.AsyncClient, **params: str) -> list[Body]:
    found: list[Body] = good(await admin.get(URL, params=params))["items"]
    return found


async def test_redacting_a_customer_erases_them(zoe: Life, admin: httpx.AsyncClient, store: Store) -> None:
    await zoe.everything()
    await ask(zoe, "customers/redact", customer=PERSON, orders_to_redact=[5001])
    assert traces(store) == []
    assert {one["kind"]: (one["state"], one["outcome"]) for one in await listed(admin)} == {
        "data_request": ("done", "erased"),
        "redact_customer": ("done", "erased"),
    }
    asked = (await listed(admin))[0]
    assert [asked[name] for name in ("email", "phone", "external_customer_id", "orders")] == [None, None, None, []]
    assert good(await admin.get(f"{URL}/{asked['id']}")) == asked
    (erasure,) = good(await admin.get("/api/v1/erasures"))["items"]
    assert (erasure["customer_id"], erasure["requested_by"]) == (zoe.customer_id, "system")


async def test_whoever_is_not_here_does_not_come_by_a_later_delivery(
    zoe: Life, admin: httpx.AsyncClient, store: Store
) -> None:
    good(await admin.post("/api/v1/connections", json=connection_body()), 201)
    await ask(zoe, "customers/redact", customer=PERSON, orders_to_redact=[5001])
    # The order was on its way, and names her; a walk-in sale of hers names nobody.
    await zoe.deliver("orders/create", shopify_order_of(), "z-1")
    await zoe.deliver("orders/create", {**shopify_order_of(), "id": 6001, "customer": None, "email": EMAIL}, "z-2")
    await zoe.carry_out()
    assert traces(store) == []
    assert store.root["orders"].count_documents({}) == 2
    assert store.root["customers"].count_documents({}) == 0


async def test_only_whom_the_names_mean(zoe: Life, admin: httpx.AsyncClient) -> None:
    """A telephone that is also somebody else's tells nothing, where they are known by an address."""
    good(await admin.post("/api/v1/connections", json=connection_body()), 201)
    bob = good(await admin.post("/api/v1/customers", json={"email": "bob@example.com", "phone": PHONE}), 201)
    alone = good(await admin.post("/api/v1/customers", json={"first_name": "Zoë", "phone": PHONE}), 201)
    await ask(zoe, "customers/redact", customer={"id": 1, "phone": PHONE}, orders_to_redact=[])
    good(await admin.get(f"/api/v1/customers/{bob['id']}"))
    refused(await admin.get(f"/api/v1/customers/{alone['id']}"), 404, "not_found")


async def test_data_is_made_ready_and_fetched(zoe: Life, admin: httpx.AsyncClient) -> None:
    await zoe.everything()
    with acting_as(zoe.database, Role.ADMIN):
        await carrying_out.carry_out_all()
    (asked,) = await listed(admin, state="ready")
    assert asked["customer_ids"] == [zoe.customer_id]
    for _ in range(2):
        files = unpacked(await admin.get(f"{URL}/{asked['id']}/export"))
        assert files["customer.json"][0]["_id"] == zoe.customer_id
    (done,) = await listed(admin)
    assert (done["state"], done["outcome"]) == ("done", "disclosed")
    await zoe.erase()
    refused(await admin.get(f"{URL}/{asked['id']}/export"), 409, "conflict")


async def test_data_of_somebody_who_is_not_here(zoe: Life, admin: httpx.AsyncClient) -> None:
    good(await admin.post("/api/v1/connections", json=connection_body()), 201)
    await ask(zoe, "customers/data_request", customer=PERSON, orders_requested=[], data_request={"id": 1})
    (asked,) = await listed(admin)
    assert (asked["state"], asked["outcome"]) == ("done", "nobody")
    refused(await admin.get(f"{URL}/{asked['id']}/export"), 409, "conflict")
    refused(await admin.get(f"{URL}/prv_1/export"), 404, "not_found")
    refused(await admin.get(f"{URL}/prv_1"), 404, "not_found")


async def test_a_shop_that_is_gone(zoe: Life, admin: httpx.AsyncClient, store: Store) -> None:
    """Customers of this shop alone go; of those whom others know, only what came from it."""
    good(await admin.post("/api/v1/connections", json=connection_body()), 201)
    both = good(
        await admin.put("/api/v1/orders/other/1", json=order_of("O-1", customer={"email": "both@example.com"})), 201
    )
    await zoe.deliver("orders/create", shopify_order_of(), "z-1")
    guest = {**shopify_order_of(), "id": 7001, "customer": None, "email": "guest@example.com"}
    await zoe.deliver("orders/create", guest, "z-2")
    theirs = {**shopify_order_of(), "id": 7002, "customer": {"id": 77, "email": "both@example.com"}}
    await zoe.deliver("orders/create", {**theirs, "email": "both@example.com"}, "z-3")
    await zoe.carry_out()
    assert store.root["customers"].count_documents({}) == 3
    await ask(zoe, "shop/redact")
    (left,) = store.root["customers"].find({})
    assert left["_id"] == both["customer_id"]
    assert left["external_ids"] == []
    found = {row["external_id"]: row for row in store.root["orders"].find({})}
    assert found["1"]["customer_id"] == both["customer_id"]
    for external_id in ("5001", "7001", "7002"):
        assert "customer_id" not in found[external_id]
        assert found[external_id]["shipping_address"] == {"country": "GB"}
    await zoe.deliver("orders/updated", {**guest, "updated_at": "2026-12-30T00:00:00Z"}, "z-4")
    await zoe.carry_out()
    assert store.root["customers"].count_documents({}) == 1


async def test_the_service_does_it_by_itself(
    zoe: Life, store: Store, database: Database, credentials: dict[str, str]
) -> None:
    await zoe.orders()
    good(await zoe.admin.post("/api/v1/connections", json=connection_body()), 201)
    await zoe.deliver("customers/redact", {"shop_domain": SHOP, "customer": PERSON, "orders_to_redact": []}, "z-1")
    asked = create_app(store.settings, database=database)
    async with running(asked) as at_work, client_of(at_work, Authorization=f"Bearer {credentials['admin']}") as admin:
        for _ in range(400):
            if [one["state"] for one in await listed(admin)] == ["done"]:
                break
            await asyncio.sleep(0.05)
    assert traces(store) == []
