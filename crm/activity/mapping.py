"""From what is stored of activity to its wire shape. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from crm import money
from crm.activity import carts
from crm.activity.schemas import ActivityOut, CartItemOut, CartOut, CartTotalOut, ViewedProductOut, VisitOut

_PRODUCT: Final = ("product_id", "sku", "variant", "name", "currency", "url", "image_url")


def shape(customer_id: str, activity: Mapping[str, Any]) -> ActivityOut:
    """An activity as clients see it; an empty one of somebody who was never seen."""
    visit = activity.get("session")
    return ActivityOut(
        customer_id=customer_id,
        last_seen_at=activity.get("last_seen_at"),
        session=VisitOut(**{"entry_url": None, "truncated": False, **visit}) if visit else None,
        viewed=[ViewedProductOut(**_product(viewed), at=viewed["at"]) for viewed in activity.get("viewed", ())],
        cart=shape_cart(customer_id, activity) if activity.get("cart") else None,
    )


def shape_cart(customer_id: str, activity: Mapping[str, Any]) -> CartOut:
    """The cart of an activity that has one, with its state, as clients see it."""
    cart = activity["cart"]
    return CartOut(
        customer_id=customer_id,
        state=activity["state"],
        cart_id=cart.get("cart_id"),
        totals=[
            CartTotalOut(currency=currency, amount=text(amount, currency))
            for currency, amount in carts.totals(cart["items"])
        ],
        items=[CartItemOut(**_product(item), quantity=item["quantity"]) for item in cart["items"]],
        opened_at=cart["opened_at"],
        updated_at=activity["cart_at"],
    )


def text(amount: Decimal, currency: str | None) -> str:
    """An amount as exact as it is, with at least the decimals of its currency, if that is one."""
    plain = f"{amount:f}"
    if currency not in money.currencies():
        return plain
    whole, _, decimals = plain.partition(".")
    decimals = decimals.ljust(money.minor_units(currency), "0")
    return f"{whole}.{decimals}" if decimals else whole


def _product(product: Mapping[str, Any]) -> dict[str, Any]:
    price = product.get("price")
    shown = {name: product.get(name) for name in _PRODUCT}
    return {**shown, "price": None if price is None else text(price, product.get("currency"))}
