"""Events as the rules get them: written down one by one, or drawn."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final

from hypothesis import strategies as st

from tests.fixtures.rows import MOMENT, Row, amount

SKUS: Final = ("MUG", "TEA", "CUP")
_numbers = count()


def after(minutes: float) -> datetime:
    return MOMENT + timedelta(minutes=minutes)


def event(minutes: float, action: str | None = None, *, type_: str = "track", **commerce: Any) -> Row:
    """One event, so many minutes after ``MOMENT``; of two at one moment the later in the test is the later."""
    row: Row = {"_id": f"evt_{next(_numbers):09}", "type": type_, "occurred_at": after(minutes)}
    return {**row, "commerce": {"action": action, **commerce}} if action else row


def page(minutes: float, url: str | None = None) -> Row:
    return event(minutes, type_="page") | ({"context": {"page": {"url": url}}} if url else {})


def piece(sku: str, quantity: int | None = None, price: str | None = None, **more: Any) -> Row:
    row = {"sku": sku, "quantity": quantity, "price": price and amount(price), **more}
    return {name: value for name, value in row.items() if value is not None}


_PRODUCTS = st.fixed_dictionaries(
    {},
    optional={
        "product_id": st.sampled_from(("1", "2")),
        "sku": st.sampled_from(SKUS),
        "variant": st.sampled_from(("red", "blue")),
        "price": st.decimals("0", "99.99", places=2).map(str).map(amount),
        "quantity": st.integers(1, 3),
    },
)
_COMMERCE = st.fixed_dictionaries(
    {
        "action": st.sampled_from(
            "product_viewed product_added product_removed cart_viewed checkout_started order_completed coupon_entered"
            .split()
        )
    },
    optional={
        "products": st.lists(_PRODUCTS, max_size=4),
        "cart_id": st.sampled_from(("a", "b")),
        "currency": st.sampled_from(("GBP", "EUR")),
    },
)  # fmt: skip


@st.composite
def events(draw: st.DrawFn) -> list[Row]:
    """A customer's events at a few moments, so that many happen at the same one; some are weeks apart."""
    rows = []
    for number in range(draw(st.integers(0, 25))):
        days, minutes = draw(st.sampled_from((0, 0, 0, 29, 31, 89, 92))), 10 * draw(st.integers(0, 20))
        row: Row = {
            "_id": f"evt_{number:03}",
            "type": draw(st.sampled_from(("page", "screen", "track"))),
            "occurred_at": MOMENT - timedelta(days=days) + timedelta(minutes=minutes),
        }
        if draw(st.booleans()):
            row["context"] = {"page": {"url": f"https://shop.example.com/{number}"}}
        if draw(st.integers(0, 3)):
            row["commerce"] = draw(_COMMERCE)
        rows.append(row)
    return rows
