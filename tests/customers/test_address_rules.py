"""What an address of a country needs, asked of staff, and of no machine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from crm import contact
from crm.customers.address_rules import broken
from crm.sample import generator
from tests.fixtures.answers import good, refused
from tests.fixtures.store import Store

URL = "/api/v1/customers"
LEEDS = {"line1": "1 High Street", "city": "Leeds", "postal_code": "LS1 4AP", "country": "GB"}


@pytest.mark.fast
@pytest.mark.parametrize(
    "address",
    [
        LEEDS, {**LEEDS, "postal_code": "ls14ap"}, {"city": "Leeds"}, {"line1": "x", "city": "Dublin", "country": "IE"},
        {"line1": "x", "city": "Berlin", "postal_code": "10115", "country": "DE"},
        {"line1": "x", "city": "Utrecht", "postal_code": "3511 ab", "country": "NL"},
        {"line1": "x", "city": "New York", "region": "NY", "postal_code": "10001-1234", "country": "US"},
        {"line1": "x", "city": "New York", "region": "New York", "postal_code": "10001", "country": "US"},
        {"line1": "x", "city": "New York", "region": "n.y.", "postal_code": "10001", "country": "US"},
        {"line1": "x", "city": "Des Moines", "region": "Iowa", "postal_code": "50309", "country": "US"},
        {"line1": "x", "city": "Sydney", "region": "nsw", "postal_code": "2000", "country": "AU"},
        {"line1": "x", "city": "Toronto", "region": "Ontario (ON)", "postal_code": "M5V 2T6", "country": "CA"},
        {"line1": "x", "city": "Madrid", "region": "MD", "postal_code": "28001", "country": "ES"},
        {"line1": "x", "region": "ZZ", "postal_code": "anything"},
        {"line1": "x", "city": "千代田区", "region": "東京都", "postal_code": "１００－０００１", "country": "JP"},
    ],
)  # fmt: skip
def test_an_address_of_its_country(address: dict[str, Any]) -> None:
    assert broken([address]) == ()


@pytest.mark.fast
@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ({"country": "GB"}, {"line1", "city", "postal_code"}),
        ({"country": "US", "line1": "x", "city": "New York"}, {"region", "postal_code"}),
        ({**LEEDS, "postal_code": "12345"}, {"postal_code"}),
        ({"line1": "x", "city": "Berlin", "postal_code": "1011", "country": "DE"}, {"postal_code"}),
        ({"line1": "x", "city": "x", "region": "CA", "postal_code": "10001", "country": "US"}, {"postal_code"}),
        ({"line1": "x", "city": "x", "region": "ZZ", "postal_code": "90210", "country": "US"}, {"region"}),
        ({"line1": "x", "city": "x", "region": "Q.Q.", "postal_code": "M5V 2T6", "country": "CA"}, {"region"}),
    ],
)
def test_what_is_wrong_is_named(address: dict[str, Any], parts: set[str]) -> None:
    assert {error.pointer for error in broken([LEEDS, address])} == {f"/addresses/1/{part}" for part in parts}
    assert broken([address], known=[LEEDS, address]) == ()


@pytest.mark.fast
def test_every_country_has_its_rules() -> None:
    for country in contact.countries():
        assert isinstance(broken([{"country": country}]), tuple)


@pytest.mark.fast
def test_the_sample_keeps_to_them() -> None:
    plan = generator.generate(1, 300, now=datetime(2026, 11, 25, tzinfo=UTC))
    assert [broken(customer["addresses"]) for customer in plan.customers] == [()] * len(plan.customers)


@pytest.mark.mongo
async def test_staff_are_asked_and_machines_are_not(
    sales: httpx.AsyncClient, ingest: httpx.AsyncClient, store: Store
) -> None:
    short = {"city": "Leeds", "country": "GB"}
    body = {"last_name": "Example", "addresses": [LEEDS, short]}
    refused(await sales.post(URL, json=body), 422, "invalid_input", "/addresses/1/line1", "/addresses/1/postal_code")
    assert store.root["customers"].count_documents({}) == 0
    pushed = good(await ingest.post(URL, json=body), 201)
    url = f"{URL}/{pushed['id']}"
    # What a shop has sent keeps nobody from adding another, in whatever order.
    theirs = [{**LEEDS, "kind": "billing"}, *pushed["addresses"][::-1]]
    changed = good(await sales.patch(url, json={"addresses": theirs, "version": 1}))
    assert len(changed["addresses"]) == 3
    worse = [{**changed["addresses"][0], "postal_code": "1"}, *changed["addresses"][1:]]
    patch = {"addresses": worse, "version": 2}
    refused(await sales.patch(url, json=patch), 422, "invalid_input", "/addresses/0/postal_code")
    assert good(await ingest.patch(url, json=patch))["version"] == 3
    assert good(await sales.patch(url, json={"addresses": None, "version": 3}))["addresses"] == []
