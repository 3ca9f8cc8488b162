"""The products that somebody looked at last."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.activity.products import named, same
from crm.activity.views import LOOKED_BACK, MOST_VIEWED, last_viewed
from tests.activity.happenings import after, event, events, page, piece
from tests.fixtures.rows import Row, amount

pytestmark = pytest.mark.fast


def viewed(minutes: float, sku: str, **more: Any) -> Row:
    return event(minutes, "product_viewed", products=[piece(sku, **more)])


def test_each_product_once_as_it_was_seen_last() -> None:
    rows = [
        viewed(0, "MUG", price="4.50", name="Mug"),
        viewed(1, "TEA"),
        event(2, "product_viewed", currency="EUR", products=[piece("MUG", price="5.00", name="Big mug", brand="B")]),
        page(3),
        event(4, "product_added", products=[piece("CUP")]),
    ]
    assert last_viewed(rows) == [
        {"sku": "MUG", "name": "Big mug", "price": amount("5.00").to_decimal(), "currency": "EUR", "at": after(2)},
        {"sku": "TEA", "at": after(1)},
    ]


def test_a_currency_without_a_price_says_nothing() -> None:
    assert last_viewed([event(0, "product_viewed", currency="EUR", products=[{"sku": "MUG"}])]) == [
        {"sku": "MUG", "at": after(0)}
    ]


def test_what_does_not_say_which_product_is_left_out() -> None:
    rows = [event(0, "product_viewed", products=[{"name": "Mug"}]), event(1, "product_viewed")]
    rows.append(event(2, "product_viewed", products=[{}]))
    assert last_viewed(rows) == []


def test_ten_are_remembered_for_ninety_days() -> None:
    rows = [viewed(minute, f"SKU-{minute}") for minute in range(15)]
    assert [product["sku"] for product in last_viewed(rows)] == [f"SKU-{n}" for n in range(14, 4, -1)]
    days = LOOKED_BACK.days * 24 * 60
    assert [p["sku"] for p in last_viewed([viewed(0, "OLD"), viewed(1, "MUG"), page(days + 1)])] == ["MUG"]


@given(events(), st.randoms())
def test_any_order_is_the_same_list(rows: list[Row], dice: Random) -> None:
    shuffled = list(rows)
    dice.shuffle(shuffled)
    found = last_viewed(rows)
    assert last_viewed(shuffled) == found
    assert len(found) <= MOST_VIEWED
    assert all(named(product) for product in found)
    assert [p["at"] for p in found] == sorted((p["at"] for p in found), reverse=True)
    assert not any(same(one, other) for i, one in enumerate(found) for other in found[:i])
