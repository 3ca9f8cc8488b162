"""The sample is the same for the same seed, invented beyond doubt, and exact to the minor unit."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import phonenumbers
import pytest

from crm import contact, money
from crm.events.schemas import EventIn
from crm.sample.generator import SamplePlan, generate
from crm.sample.locales import LOCALES

pytestmark = pytest.mark.fast

NOW = datetime(2026, 3, 29, 12, 0, 0, 999_999, tzinfo=UTC)
FICTION = re.compile(r"\+44 7700 900\d{3}|\+1 \d{3} 555-01\d\d")


@pytest.fixture(scope="module")
def plan() -> SamplePlan:
    return generate(7, now=NOW)


def amount(wire: dict[str, Any], name: str) -> Decimal:
    return Decimal(wire.get(name, "0"))


def at(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


def without_times(wire: Any) -> Any:
    return re.sub(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"', "0", json.dumps(wire))


class TestDeterminism:
    def test_same_seed_and_now(self, plan: SamplePlan) -> None:
        assert generate(7, now=NOW) == plan
        assert generate(7, now=NOW.astimezone(timezone(timedelta(hours=9)))) == plan

    def test_another_seed(self, plan: SamplePlan) -> None:
        other = generate(8, now=NOW)
        assert other.customers != plan.customers
        assert not set(other.orders) & set(plan.orders)
        assert not {e["message_id"] for e in other.events} & {e["message_id"] for e in plan.events}

    def test_another_day_moves_only_times(self, plan: SamplePlan) -> None:
        later = generate(7, now=NOW + timedelta(days=40, hours=5))
        for name in ("products", "customers", "orders", "events", "interactions"):
            assert without_times(getattr(later, name)) == without_times(getattr(plan, name))

    def test_more_people_only_add(self, plan: SamplePlan) -> None:
        fewer = generate(7, 100, now=NOW)
        assert plan.customers[:100] == fewer.customers
        assert fewer.orders.items() <= plan.orders.items()

    def test_it_wants_to_know_the_offset(self) -> None:
        with pytest.raises(ValueError, match="offset"):
            generate(7, now=NOW.replace(tzinfo=None))

    def test_less_than_nobody(self) -> None:
        with pytest.raises(ValueError, match="negative"):
            generate(7, -1, now=NOW)

    def test_nobody(self) -> None:
        empty = generate(7, 0, now=NOW)
        assert (empty.customers, empty.orders, empty.events, empty.interactions) == ([], {}, [], [])


class TestPeople:
    def test_how_many(self, plan: SamplePlan) -> None:
        assert len(plan.customers) == 300
        assert len(plan.orders) > 300
        assert len(plan.events) > 2000
        assert len(plan.interactions) > 100

    def test_nobody_is_twice(self) -> None:
        many = generate(1, 2500, now=NOW)  # more than there are names and numbers
        emails = [contact.email_key(c["email"]) for c in many.customers]
        phones = [contact.phone_key(c["phone"]) for c in many.customers if "phone" in c]
        ids = [c["external_ids"][0]["id"] for c in many.customers]
        assert len(set(emails)) == len(set(ids)) == 2500
        assert len(set(phones)) == len(phones) > 1000

    def test_nobody_is_real(self, plan: SamplePlan) -> None:
        for customer in plan.customers:
            assert re.fullmatch(r"[a-z0-9.-]+@example\.com", customer["email"])
            assert "sample" in customer["tags"]
            phone = customer.get("phone")
            if phone is not None:
                assert FICTION.fullmatch(phone)
                assert phonenumbers.is_possible_number(phonenumbers.parse(phone))

    def test_names_of_many_scripts(self, plan: SamplePlan) -> None:
        names = "".join(c["first_name"] + c["last_name"] for c in plan.customers)
        for script in ("[à-ÿ]", "[а-я]", "[α-ω]", "[\u3040-\u30ff]", "[\u4e00-\u9fff]", "[\u0621-\u064a]"):
            assert re.search(script, names)
        assert len({name for locale in LOCALES for name in locale.first}) >= 30
        assert len({name for locale in LOCALES for name in locale.last}) >= 30

    def test_addresses_and_consents(self, plan: SamplePlan) -> None:
        for customer in plan.customers:
            for address in customer["addresses"]:
                assert address["kind"] in ("shipping", "billing")
                assert address["country"] in contact.countries()
                assert {"line1", "city", "postal_code"} <= set(address)
            channels = [consent["channel"] for consent in customer["consents"]]
            assert len(channels) == len(set(channels))
            assert all(at(consent["at"]) <= NOW for consent in customer["consents"])


class TestOrders:
    def test_totals_are_exact(self, plan: SamplePlan) -> None:
        for order in plan.orders.values():
            items = sum(
                i["quantity"] * Decimal(i["unit_price"]) - amount(i, "discount") + amount(i, "tax")
                for i in order["items"]
            )
            total = items - amount(order, "discount") + amount(order, "tax") + amount(order, "shipping")
            assert Decimal(order["total"]) == total
            assert total >= 0

    def test_minor_units(self, plan: SamplePlan) -> None:
        for order in plan.orders.values():
            carriers = [order, *order["items"]]
            for name in ("total", "unit_price", "shipping", "discount", "tax"):
                for text in (carrier[name] for carrier in carriers if name in carrier):
                    exact = money.amount(text, order["currency"])
                    assert str(exact) == text  # neither fewer nor more decimals than the currency has

    def test_there_is_some_of_everything(self, plan: SamplePlan) -> None:
        orders = list(plan.orders.values())
        assert {o["currency"] for o in orders} == {"GBP", "EUR", "USD", "JPY", "KWD"}
        assert {o["status"] for o in orders} == {"pending", "paid", "fulfilled", "delivered", "cancelled"}
        assert {next(iter(o["customer"])) for o in orders} == {"external_id", "email"}
        for name in ("shipping", "discount", "tax", "shipping_address"):
            assert 0 < sum(name in o for o in orders) < len(orders)
        for name in ("discount", "tax"):
            assert any(name in i for o in orders for i in o["items"])

    def test_buyers_and_articles_exist(self, plan: SamplePlan) -> None:
        known = {c["external_ids"][0]["id"] for c in plan.customers} | {c["email"] for c in plan.customers}
        for external_id, order in plan.orders.items():
            assert order["number"] == external_id
            assert set(order["customer"].values()) <= known
            assert {i["sku"] for i in order["items"]} <= set(plan.products)
            assert "kind" not in order.get("shipping_address", {})

    def test_placed_between_400_days_and_an_hour_ago(self, plan: SamplePlan) -> None:
        times = [at(order["placed_at"]) for order in plan.orders.values()]
        assert NOW - timedelta(days=400) <= min(times)
        assert max(times) <= NOW - timedelta(hours=1)


class TestEventsAndInteractions:
    def test_events(self, plan: SamplePlan) -> None:
        ids = {event["message_id"] for event in plan.events}
        assert len(ids) == len(plan.events)
        assert {event["type"] for event in plan.events} == {"page", "track"}
        assert {"Product Viewed", "Product Added", "Products Searched", "Order Completed"} <= {
            event["name"] for event in plan.events
        }
        assert 0 < sum("customer" not in event for event in plan.events) < len(plan.events)
        for event in plan.events:
            assert at(event["occurred_at"]) <= NOW
            assert event["source"] == "demo-web"
            assert "customer" in event or "anonymous_id" in event
            assert all(isinstance(value, str | int) for value in event["properties"].values())
            assert EventIn.model_validate(event), "what the API takes"
            assert ("commerce" in event) == (event["type"] == "track")

    def test_an_order_completed_is_that_order(self, plan: SamplePlan) -> None:
        for event in plan.events:
            if event["name"] == "Order Completed":
                done = event["commerce"]
                order = plan.orders[done["order_id"]]
                assert (order["placed_at"], order["total"]) == (event["occurred_at"], done["total"])

    def test_interactions(self, plan: SamplePlan) -> None:
        assert {i["kind"] for i in plan.interactions} == {"note", "call", "email", "meeting", "task"}
        for interaction in plan.interactions:
            assert 0 <= interaction["customer"] < len(plan.customers)
            assert at(interaction["occurred_at"]) <= NOW
            assert ("direction" in interaction) == (interaction["kind"] in ("call", "email"))
            assert ("due_at" in interaction) == (interaction["kind"] == "task")
        assert any(at(i["due_at"]) > NOW for i in plan.interactions if "due_at" in i)

    def test_a_loader_can_tell_them_apart(self, plan: SamplePlan) -> None:
        named = [(i["customer"], i["kind"], i["subject"]) for i in plan.interactions]
        assert len(named) == len(set(named))
