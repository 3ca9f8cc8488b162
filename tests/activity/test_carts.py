"""What is in a cart, told from events in any order."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.activity.carts import KEPT, MOST_LINES, MOST_PIECES, last_cart, state, totals
from crm.money import LARGEST
from tests.activity.happenings import SKUS, after, event, events, page, piece
from tests.fixtures.rows import MOMENT, Row

pytestmark = pytest.mark.fast
HOUR = timedelta(hours=1)


def added(minutes: float, *products: Row, **commerce: Any) -> Row:
    return event(minutes, "product_added", products=list(products), **commerce)


def removed(minutes: float, *products: Row, **commerce: Any) -> Row:
    return event(minutes, "product_removed", products=list(products), **commerce)


def pieces(rows: list[Row]) -> dict[str, int]:
    cart = last_cart(rows)
    return {line["sku"]: line["quantity"] for line in cart["items"]} if cart else {}


def test_products_come_and_go() -> None:
    rows = [
        added(0, piece("MUG", 2, "4.50", name="Mug"), currency="GBP"),
        page(1),
        added(2, piece("TEA")),
        added(3, piece("MUG")),
        removed(4, piece("MUG")),
        removed(5, piece("TEA")),
    ]
    assert last_cart(rows) == {
        "cart_id": None,
        "opened_at": after(0),
        "touched_at": after(5),
        "items": [{"sku": "MUG", "name": "Mug", "quantity": 2, "price": Decimal("4.50"), "currency": "GBP"}],
    }


def test_a_cart_without_anything_in_it_is_none() -> None:
    assert last_cart([]) is None
    assert last_cart([page(0), event(1, "coupon_entered")]) is None
    assert last_cart([added(0, piece("MUG", 2)), removed(1, piece("MUG", 2))]) is None
    assert last_cart([removed(0, piece("MUG"))]) is None
    assert last_cart([added(0, {"name": "a mug"})]) is None


def test_a_cart_that_was_emptied_and_filled_again_was_opened_then() -> None:
    cart = last_cart([added(0, piece("MUG")), removed(1, piece("MUG")), added(2, piece("TEA"))])
    assert cart is not None
    assert cart["opened_at"] == after(2)


@pytest.mark.parametrize("action", ["cart_viewed", "checkout_started"])
def test_who_shows_the_whole_cart_says_all_that_is_in_it(action: str) -> None:
    rows = [added(0, piece("MUG")), added(1, piece("TEA"), piece("CUP"))]
    assert pieces([*rows, event(2, action, products=[piece("TEA", 5)])]) == {"TEA": 5}
    nothings: list[Row] = [{}, {"products": [{"name": "a mug"}]}]
    for nothing in nothings:
        rows.append(event(2, action, **nothing))
        assert pieces(rows) == {"MUG": 1, "TEA": 1, "CUP": 1}
    cart = last_cart(rows)
    assert cart is not None
    assert (cart["opened_at"], cart["touched_at"]) == (after(0), after(2))


def test_who_sees_an_empty_cart_has_none() -> None:
    rows = [added(0, piece("MUG"), cart_id="a"), added(1, piece("TEA"), cart_id="b")]
    seen = event(2, "cart_viewed", cart_id="b", products=[])
    assert pieces([*rows, seen]) == {"MUG": 1}
    assert pieces([*rows, event(2, "cart_viewed", products=[])]) == {"MUG": 1}, "the cart at hand"
    assert last_cart([rows[0], event(2, "cart_viewed", cart_id="a", products=[])]) is None
    assert pieces([rows[0], seen]) == {"MUG": 1}, "another cart"
    assert pieces([*rows, seen, added(3, piece("CUP"), cart_id="b")]) == {"CUP": 1}
    # Nobody checks out nothing: who lists no products there does not say which.
    assert pieces([*rows, event(2, "checkout_started", cart_id="b", products=[])]) == {"TEA": 1}


def test_an_order_ends_all_carts() -> None:
    rows = [added(0, piece("MUG"), cart_id="a"), added(1, piece("TEA"), cart_id="b"), event(2, "order_completed")]
    assert last_cart(rows) is None
    assert pieces([*rows, added(3, piece("CUP"))]) == {"CUP": 1}


def test_carts_are_told_apart_by_the_shop_s_ids() -> None:
    rows = [
        added(0, piece("MUG"), cart_id="a"),
        added(1, piece("TEA"), cart_id="b"),
        added(2, piece("MUG"), cart_id="a"),
    ]
    cart = last_cart(rows)
    assert cart is not None
    assert (cart["cart_id"], pieces(rows)) == ("a", {"MUG": 2})
    # Who does not say which one means the one at hand.
    assert pieces([*rows, added(3, piece("CUP"))]) == {"MUG": 2, "CUP": 1}
    # Behind the one that is emptied the other one is still there.
    assert pieces([*rows, removed(3, piece("MUG", 2))]) == {"TEA": 1}


def test_one_name_of_two_is_enough_to_take_a_product_out() -> None:
    both = piece("MUG-RED", product_id="mug", variant="red")
    for name in ({"sku": "MUG-RED"}, {"product_id": "mug"}, {"product_id": "mug", "variant": "red"}):
        assert last_cart([added(0, both), removed(1, name)]) is None
    for other in ({"variant": "red"}, {"product_id": "mug", "sku": "MUG-BLUE"}, {"product_id": "mug", "variant": "x"}):
        assert pieces([added(0, both), removed(1, other)]) == {"MUG-RED": 1}


def test_a_price_brings_its_currency_along() -> None:
    rows = [added(0, piece("MUG", price="4.50"), currency="GBP"), added(1, piece("MUG"))]
    assert totals((last_cart(rows) or {})["items"]) == [("GBP", Decimal("9.00"))]
    rows.append(added(2, piece("MUG", price="5.00")))
    assert totals((last_cart(rows) or {})["items"]) == [(None, Decimal("15.00"))]


def test_a_cart_is_told_from_thirty_days() -> None:
    days = KEPT.days * 24 * 60
    assert pieces([added(0, piece("MUG")), added(days, piece("TEA"))]) == {"MUG": 1, "TEA": 1}
    assert pieces([added(0, piece("MUG")), added(days + 1, piece("TEA"))]) == {"TEA": 1}
    assert pieces([added(0, piece("MUG")), page(days + 1)]) == {"MUG": 1}


def test_carts_have_an_end() -> None:
    many = [added(n, *(piece(f"SKU-{n}-{i}") for i in range(100))) for n in range(3)]
    assert len(pieces(many)) == MOST_LINES
    assert pieces([added(0, piece("MUG", MOST_PIECES)), added(1, piece("MUG"))]) == {"MUG": MOST_PIECES}


def test_amounts_of_different_currencies_are_never_added_up() -> None:
    items: list[Row] = [
        {"quantity": 2, "price": Decimal("4.50"), "currency": "GBP"},
        {"quantity": 1, "price": Decimal("1"), "currency": "EUR"},
        {"quantity": 3, "price": Decimal("0.5")},
        {"quantity": 1, "price": Decimal("0.25"), "currency": "GBP"},
        {"quantity": 7},
    ]
    assert totals(items) == [("EUR", Decimal("1")), ("GBP", Decimal("9.25")), (None, Decimal("1.5"))]
    assert totals([{"quantity": 7}]) == []


def test_totals_are_exact_at_the_limits() -> None:
    digits = int(LARGEST) * 10**22 - 1  # 34 of them, 22 behind the point
    items = [{"quantity": MOST_PIECES, "price": Decimal(f"{digits}e-22"), "currency": "GBP"}] * MOST_LINES
    assert totals(items) == [("GBP", Decimal(f"{digits * MOST_PIECES * MOST_LINES}e-22"))]


@pytest.mark.parametrize(
    ("touched_before", "ordered_before", "expected"),
    [
        (timedelta(), None, "open"),
        (HOUR, None, "open"),
        (HOUR + timedelta(milliseconds=1), None, "abandoned"),
        (KEPT, None, "abandoned"),
        (KEPT + timedelta(milliseconds=1), None, None),
        (HOUR, HOUR * 2, "open"),
        (HOUR, HOUR, None),
        (HOUR * 2, HOUR, None),
    ],
)
def test_what_became_of_a_cart(
    touched_before: timedelta, ordered_before: timedelta | None, expected: str | None
) -> None:
    ordered = None if ordered_before is None else MOMENT - ordered_before
    assert state(MOMENT - touched_before, ordered, MOMENT, HOUR) == expected


@given(events(), st.randoms())
def test_any_order_is_the_same_cart(rows: list[Row], dice: Random) -> None:
    shuffled = list(rows)
    dice.shuffle(shuffled)
    cart = last_cart(rows)
    assert last_cart(shuffled) == cart
    if cart is not None:
        assert cart["items"]
        assert all(line["quantity"] >= 1 for line in cart["items"])
        assert cart["opened_at"] <= cart["touched_at"]
        assert sum(total for _, total in totals(cart["items"])) == sum(
            line["price"] * line["quantity"] for line in cart["items"] if "price" in line
        )


@given(st.lists(st.tuples(st.sampled_from(("+", "-", "=", "0", "!")), st.sampled_from(SKUS), st.integers(1, 3))))
def test_a_cart_is_what_was_put_in_less_what_was_taken_out(steps: list[tuple[str, str, int]]) -> None:
    rows, expected = [], Counter[str]()
    for minute, (step, sku, quantity) in enumerate(steps):
        product = piece(sku, quantity)
        if step == "+":
            rows.append(added(minute, product))
            expected[sku] += quantity
        elif step == "-":
            rows.append(removed(minute, product))
            expected[sku] = max(0, expected[sku] - quantity)
        elif step == "=":
            rows.append(event(minute, "cart_viewed", products=[product]))
            expected = Counter({sku: quantity})
        elif step == "0":
            rows.append(event(minute, "cart_viewed", products=[]))
            expected = Counter()
        else:
            rows.append(event(minute, "order_completed", products=[product]))
            expected = Counter()
    assert pieces(rows) == {sku: count for sku, count in expected.items() if count}
