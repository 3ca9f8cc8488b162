"""The invented shop: everything follows from numbers, and nobody in it can be taken for real."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm import contact
from crm.bench.shop import people, stock
from crm.bench.shop.dice import Dice
from crm.bench.shop.names import PHONES
from crm.bench.shop.plan import Plan
from crm.bench.shop.questions import kinds

pytestmark = pytest.mark.fast

UNTIL = datetime(2026, 11, 25, tzinfo=UTC)
PLAN = Plan(seed=1, customers=600, orders=1_500, until=UNTIL)


@given(st.integers(1, 400), st.integers(1, 900), st.integers())
@settings(max_examples=40, deadline=None)
def test_each_order_has_one_owner(customers: int, orders: int, seed: int) -> None:
    plan = Plan(seed % 1000, customers, orders, UNTIL)
    owned = {order: customer for customer in range(customers) for order in plan.orders_of(customer)}
    assert owned.keys() == set(range(orders))
    assert all(plan.owner(order) == customer for order, customer in owned.items())


def test_ids_and_times_are_in_the_order_of_numbers() -> None:
    for of, id_, at in (
        (PLAN.customers, PLAN.customer_id, PLAN.came_at),
        (PLAN.orders, PLAN.order_id, PLAN.placed_at),
    ):
        assert [id_(n) for n in range(of)] == sorted({id_(n) for n in range(of)})
        assert [at(n) for n in range(of)] == sorted({at(n) for n in range(of)})
        assert at(of - 1) < UNTIL


def test_few_customers_order_much_and_most_order_little() -> None:
    plan = Plan(1, 10_000, 30_000, UNTIL)
    counts = sorted(sum(1 for _ in plan.orders_of(customer)) for customer in range(plan.customers))
    assert counts[-1] == sum(1 for _ in plan.orders_of(plan.busiest())) > 10 * 3
    assert counts[len(counts) // 2] < 3
    assert 0 < counts.count(0) < len(counts) // 2


def test_the_same_numbers_give_the_same_people_whatever_else_is_asked() -> None:
    again = Plan(1, 600, 1_500, UNTIL)
    assert stock.of_customers(PLAN, 90, 110) == stock.of_customers(again, 90, 110)
    assert stock.of_orders(PLAN, 10, 20)[5] == stock.of_orders(again, 15, 16)[0]
    assert stock.of_customers(Plan(2, 600, 1_500, UNTIL), 90, 91) != stock.of_customers(PLAN, 90, 91)


def test_dice_do_not_run_out() -> None:
    dice = Dice(1, "test", 1)
    drawn = [dice.below(1_000_000) for _ in range(2_000)]
    assert len(set(drawn)) > 1_900


def test_addresses_and_numbers_are_kept_for_fiction() -> None:
    ranges = [(re.sub(r"\D", "", begins), digits) for of in PHONES.values() for begins, digits in of]
    reserved = re.compile("|".join(rf"\+{begins}\d{{{digits}}}" for begins, digits in ranges))
    emails = set()
    for customer in stock.of_customers(PLAN, 0, PLAN.customers)["customers"]:
        if "email" in customer:
            assert re.fullmatch(r"[a-z0-9._-]+@example\.(com|org|net)", customer["email"])
            emails.add(customer["email_key"])
        if "phone" in customer:
            assert reserved.fullmatch(contact.phone_key(customer["phone"]) or "")
    assert len(emails) > PLAN.customers * 0.85


def test_what_the_shop_is_like_stands_in_its_first_customer() -> None:
    (first,) = stock.of_customers(PLAN, 0, 1)["customers"]
    assert stock.plan_in(first) == PLAN


def test_questions_name_each_kind_once() -> None:
    found = list(kinds(PLAN))
    assert len({kind.name for kind in found}) == len(found)
    assert all(kind.paths for kind in found)
    assert sum(kind.is_search for kind in found) > 20


def test_names_of_every_language_are_there() -> None:
    tags = {people.person(PLAN, number).locale.tag for number in range(PLAN.customers)}
    assert len(tags) == 13
