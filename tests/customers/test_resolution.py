"""Whom a pushed order belongs to: found or created exactly once, whatever races, and enriched with care."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.fixtures.answers import good, refused
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

SENDERS = 64
SPELLINGS = ["ann@bücher.example", "ANN@BÜCHER.EXAMPLE", "Ann@xn--bcher-kva.example", " ann@Bu\u0308cher.example"]
CUSTOMERS = "/api/v1/customers"


class Shop:
    """Pushes orders for customers."""

    def __init__(self, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
        self.client = client
        self.body = body
        self.sent = 0

    async def send(self, source: str = "shop", /, **customer: Any) -> httpx.Response:
        self.sent += 1
        url = f"/api/v1/orders/{source}/{self.sent}"
        return await self.client.put(url, json={**self.body, "customer": customer})

    async def order_for(self, source: str = "shop", /, **customer: Any) -> str:
        """The id of the customer who got the order."""
        customer_id: str = good(await self.send(source, **customer), 201)["customer_id"]
        return customer_id


@pytest.fixture
def shop(ingest: httpx.AsyncClient, order_body: dict[str, Any]) -> Shop:
    return Shop(ingest, order_body)


async def get(client: httpx.AsyncClient, customer_id: str) -> dict[str, Any]:
    body: dict[str, Any] = good(await client.get(f"{CUSTOMERS}/{customer_id}"))
    return body


@pytest.mark.parametrize(
    "refs",
    [
        [{"external_id": "c-1"}],
        [{"email": spelling} for spelling in SPELLINGS],
        [{"external_id": "c-1", "email": spelling, "first_name": "Ann"} for spelling in SPELLINGS],
        [{"external_id": "c-1", "email": SPELLINGS[0]}, {"email": SPELLINGS[1]}],
        [{"external_id": "c-1", "email": SPELLINGS[0]}, {"external_id": "c-1"}],
        [{"external_id": f"c-{n}", "email": SPELLINGS[n % 4]} for n in range(8)],
    ],
    ids=["external id", "e-mail", "both", "both or e-mail", "both or external id", "many external ids of one e-mail"],
)
async def test_concurrent_senders_create_one_customer(
    refs: list[dict[str, str]], shop: Shop, sales: httpx.AsyncClient, store: Store
) -> None:
    ids = await asyncio.gather(*[shop.order_for(**refs[n % len(refs)]) for n in range(SENDERS)])
    assert len(set(ids)) == 1
    assert store.root["customers"].count_documents({}) == 1
    customer = await get(sales, ids[0])
    external = Counter((e["source"], e["id"]) for e in customer["external_ids"])
    assert external == Counter({("shop", r["external_id"]) for r in refs if "external_id" in r})
    if any("email" in ref for ref in refs):
        assert customer["email"] in {spelling.strip() for spelling in SPELLINGS}
    assert customer["stats"]["orders_count"] == SENDERS
    assert customer["stats"]["totals"] == [
        {"currency": "GBP", "gross": "972.16", "refunded": "0.00", "net": "972.16"},
    ]


async def test_the_same_external_id_of_two_sources_is_two_people(shop: Shop) -> None:
    assert await shop.order_for("shop", external_id="1") != await shop.order_for("pos", external_id="1")


async def test_the_external_id_counts_before_the_email_and_the_email_before_the_phone(shop: Shop) -> None:
    by_phone = await shop.order_for(phone="+44 1632 960123")  # the oldest: others get this number too, below
    by_id = await shop.order_for(external_id="c-1")
    by_email = await shop.order_for(email="bob@example.com")
    assert len({by_id, by_email, by_phone}) == 3
    assert await shop.order_for(external_id="c-1", email="bob@example.com", phone="+441632960123") == by_id
    assert await shop.order_for(email="BOB@example.com", phone="+441632960123") == by_email
    assert await shop.order_for(phone="0044 1632960123") == by_phone
    assert await shop.order_for(id=by_phone, external_id="c-1", email="bob@example.com") == by_phone


async def test_a_telephone_joins_only_where_nothing_contradicts(shop: Shop) -> None:
    telephone = "+441632960123"
    known = await shop.order_for(phone=telephone)
    assert await shop.order_for(external_id="c-2", phone=telephone) == known
    assert await shop.order_for(email="eve@example.com", phone=telephone) == known
    # A shared telephone proves nothing where the sender knows better: another id of the same shop, another e-mail.
    other_id = await shop.order_for(external_id="c-3", phone=telephone)
    other_email = await shop.order_for(email="bob@example.com", phone=telephone)
    assert len({known, other_id, other_email}) == 3
    assert await shop.order_for("pos", external_id="9", phone=telephone) == known
    assert await shop.order_for(phone=telephone) == known


async def test_an_unknown_external_id_is_added_to_the_customer_of_the_email(
    shop: Shop, sales: httpx.AsyncClient
) -> None:
    made = good(await sales.post(CUSTOMERS, json={"email": "ann@example.com", "last_name": "Example"}), 201)
    assert await shop.order_for(external_id="c-1", email="ANN@example.com") == made["id"]
    assert await shop.order_for("pos", external_id="9", email="ann@example.com") == made["id"]
    assert await shop.order_for("pos", external_id="9") == made["id"]
    customer = await get(sales, made["id"])
    assert customer["external_ids"] == [{"source": "shop", "id": "c-1"}, {"source": "pos", "id": "9"}]
    assert customer["email"] == "ann@example.com"


async def test_only_empty_fields_are_filled_in(shop: Shop, sales: httpx.AsyncClient) -> None:
    customer_id = await shop.order_for(external_id="c-1", first_name="Ann")
    before = await get(sales, customer_id)
    news = {"email": "ann@example.com", "phone": "+44 1632 960123", "first_name": "Eve", "last_name": "Müller"}
    assert await shop.order_for(external_id="c-1", **news) == customer_id
    after = await get(sales, customer_id)
    assert {name: after[name] for name in news} == {**news, "first_name": "Ann"}
    assert after["version"] == before["version"] + 1
    # What was filled in is found, so its keys were filled in too.
    for params in ({"email": "ANN@example.com"}, {"phone": "00441632960123"}, {"last_name": "mull"}):
        assert [c["id"] for c in good(await sales.get(CUSTOMERS, params=params))["items"]] == [customer_id]
    others = {"email": "other@example.com", "phone": "+33612345678", "first_name": "Other", "last_name": "Other"}
    assert await shop.order_for(external_id="c-1", **others) == customer_id
    unchanged = await get(sales, customer_id)
    assert {**unchanged, "stats": None} == {**after, "stats": None}


async def test_an_email_of_somebody_else_does_not_fail_the_push(shop: Shop, sales: httpx.AsyncClient) -> None:
    bob = good(await sales.post(CUSTOMERS, json={"email": "bob@example.com"}), 201)
    ann = await shop.order_for(external_id="c-1")
    assert await shop.order_for(external_id="c-1", email="Bob@example.com", first_name="Ann") == ann
    customer = await get(sales, ann)
    # What else is new is filled in all the same.
    assert (customer["email"], customer["first_name"], customer["stats"]["orders_count"]) == (None, "Ann", 2)
    assert (await get(sales, bob["id"])) == bob


async def test_a_customer_with_too_many_external_ids_still_gets_orders(shop: Shop, store: Store) -> None:
    ann = await shop.order_for(external_id="0", email="guest@example.com")
    ids = [{"source": "shop", "id": str(n)} for n in range(100)]
    store.root["customers"].update_one({"_id": ann}, {"$set": {"external_ids": ids}})
    assert await shop.order_for(external_id="new", email="guest@example.com") == ann
    assert await shop.order_for(external_id="99") == ann


async def test_an_id_of_ours_has_to_exist(shop: Shop, store: Store) -> None:
    answer = await shop.send(id="cus_00000000000000000000000000", email="ann@example.com")
    refused(answer, 422, "invalid_input", "/customer/id")
    assert store.root["orders"].count_documents({}) == 0
    assert store.root["customers"].count_documents({}) == 0
    for wrong in ("nobody", "cus_", "", "CUS_1", "cus_\n1"):
        refused(await shop.send(id=wrong), 422, "invalid_input", "/customer/id")


@pytest.mark.parametrize("nobody", [{}, {"first_name": "Ann"}, {"id": None, "email": None}])
async def test_a_customer_has_to_be_named(nobody: dict[str, Any], shop: Shop, store: Store) -> None:
    refused(await shop.send(**nobody), 422, "invalid_input", "/customer")
    assert store.root["customers"].count_documents({}) == 0
