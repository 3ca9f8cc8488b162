"""A customer's addresses are collected from orders, each once, however it is spelt and whoever sends it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from crm.customers import addresses
from tests.fixtures.answers import good
from tests.fixtures.shop import ORDERS, Body
from tests.fixtures.store import Store

HOME: Body = {
    "name": "Ann Example",
    "line1": "1 High Street",
    "city": "Leeds",
    "postal_code": "LS1 4AP",
    "country": "GB",
}
SAME = [
    {**HOME, "line1": "1 HIGH STREET"},
    {**HOME, "line1": " 1  High   Street, "},
    {**HOME, "line1": "1, High Street."},
    {**HOME, "city": "leeds", "name": "ann example"},
    {**HOME, "postal_code": "LS14AP"},
    {**HOME, "postal_code": "ls1  4ap"},
    {**HOME, "city": "Ｌｅｅｄｓ"},
    {**HOME, "line2": None},
    {**HOME, "kind": "billing"},
    {**HOME, "phone": "+44 1632 960123"},
]
OTHER = [
    {**HOME, "line1": "11 High Street"},
    {**HOME, "line1": "1 High Street", "line2": "Flat 2"},
    {**HOME, "line1": "1High Street"},
    {**HOME, "name": "Bob Example"},
    {**HOME, "company": "Example Ltd"},
    {**HOME, "postal_code": "LS1 4AQ"},
    {**HOME, "country": "IE"},
    {**HOME, "region": "Yorkshire"},
    {**HOME, "line1": None, "line2": "1 High Street"},
]


@pytest.mark.fast
@pytest.mark.parametrize("spelling", SAME)
def test_one_address_in_two_spellings(spelling: Body) -> None:
    assert addresses.address_key(spelling) == addresses.address_key(HOME)
    assert addresses.missing([HOME], [spelling]) == []


@pytest.mark.fast
@pytest.mark.parametrize("other", OTHER)
def test_two_addresses(other: Body) -> None:
    assert addresses.missing([HOME], [other]) == [other]


@pytest.mark.fast
def test_of_those_that_are_offered_each_is_taken_once_as_far_as_there_is_room() -> None:
    assert addresses.missing([], [HOME, *SAME, OTHER[0], OTHER[0]]) == [HOME, OTHER[0]]
    many = [{"line1": f"{n} High Street"} for n in range(60)]
    assert addresses.missing([], many) == many[:50]
    assert addresses.missing(many[:49], many) == many[49:50]
    assert addresses.missing(many[:50], many) == addresses.missing(many, many) == []


class Shop:
    """Pushes orders of one customer to addresses."""

    def __init__(self, client: httpx.AsyncClient, body: Body) -> None:
        self.client = client
        self.body = {**body, "shipping_address": None}
        self.sent = 0

    async def send(self, **changes: Any) -> str:
        self.sent += 1
        answer = await self.client.put(f"{ORDERS}/shop/{self.sent}", json={**self.body, **changes})
        customer_id: str = good(answer, 201)["customer_id"]
        return customer_id

    async def addresses(self, customer_id: str) -> list[Body]:
        found = good(await self.client.get(f"/api/v1/customers/{customer_id}"))["addresses"]
        return [{name: value for name, value in address.items() if value is not None} for address in found]


@pytest.fixture
def shop(admin: httpx.AsyncClient, order_body: Body) -> Shop:
    return Shop(admin, order_body)


@pytest.mark.mongo
async def test_orders_tell_where_their_customer_lives(shop: Shop) -> None:
    work = {"company": "Example Ltd", "line1": "2 Low Street", "country": "GB"}
    ann = await shop.send(shipping_address=HOME, billing_address=work)
    expected = [{**HOME, "kind": "shipping"}, {**work, "kind": "billing"}]
    assert await shop.addresses(ann) == expected
    for spelling in SAME:
        spelt = {name: value for name, value in spelling.items() if name != "kind"}
        assert await shop.send(billing_address=spelt) == ann
        assert await shop.send(shipping_address=spelt, billing_address=HOME) == ann
    assert await shop.addresses(ann) == expected
    assert await shop.send(shipping_address=OTHER[0], billing_address=OTHER[0]) == ann
    assert await shop.addresses(ann) == [*expected, {**OTHER[0], "kind": "shipping"}]


@pytest.mark.mongo
async def test_an_address_by_hand_is_known_too(shop: Shop) -> None:
    new = {"email": "ann@example.com", "addresses": [{**HOME, "kind": "other"}]}
    ann = good(await shop.client.post("/api/v1/customers", json=new), 201)["id"]
    assert await shop.send(shipping_address=SAME[0]) == ann
    assert await shop.addresses(ann) == [{**HOME, "kind": "other"}]


@pytest.mark.mongo
async def test_fifty_addresses_are_enough(shop: Shop, store: Store) -> None:
    ann = await shop.send(shipping_address=HOME)
    many = [{"kind": "shipping", "line1": f"{n} High Street"} for n in range(49)]
    store.root["customers"].update_one({"_id": ann}, {"$set": {"addresses": many}})
    assert await shop.send(shipping_address=OTHER[0], billing_address=OTHER[1]) == ann
    assert await shop.send(shipping_address=OTHER[2]) == ann
    assert len(await shop.addresses(ann)) == 50


@pytest.mark.mongo
async def test_senders_at_once_of_one_address_add_it_once(shop: Shop) -> None:
    ids = await asyncio.gather(*[
        shop.send(shipping_address={name: value for name, value in SAME[n % len(SAME)].items() if name != "kind"})
        for n in range(32)
    ])  # fmt: skip
    assert len(set(ids)) == 1
    assert len(await shop.addresses(ids[0])) == 1


@pytest.mark.mongo
async def test_senders_at_once_of_different_addresses_add_each(shop: Shop) -> None:
    places = [{"line1": f"{n} High Street", "city": "Leeds"} for n in range(32)]
    ids = await asyncio.gather(*[shop.send(shipping_address=place, billing_address=place) for place in places])
    assert len(set(ids)) == 1
    found = await shop.addresses(ids[0])
    assert sorted(address["line1"] for address in found) == sorted(place["line1"] for place in places)
