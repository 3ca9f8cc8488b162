"""Between pushed orders, stored ones and their wire shape. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from crm import money
from crm.errors import InvalidInput
from crm.orders.documents import Order
from crm.orders.schemas import OrderItemOut, OrderOut, OrderPut
from crm.orders.totals import Line, order_total


def content(pushed: OrderPut) -> dict[str, Any]:
    """The stored fields of a pushed order, amounts exact in its currency.

    Raises:
        InvalidInput: An amount does not fit the currency, a discount is larger than its line, or the total is not the
            sum.
    """
    currency = pushed.currency
    items = [_item(item.model_dump(), currency, f"/items/{i}") for i, item in enumerate(pushed.items)]
    amounts = {
        name: money.amount(getattr(pushed, name), currency, pointer=f"/{name}")
        for name in ("shipping", "discount", "tax", "total")
    }
    lines = [Line(i["quantity"], i["unit_price"], i["discount"], i["tax"]) for i in items]
    for index, line in enumerate(lines):
        if line.discount > line.price():
            raise InvalidInput.at(f"/items/{index}/discount", "The discount is larger than the price of the item.")
    others = {name: amounts[name] for name in ("shipping", "discount", "tax")}
    if amounts["total"] != order_total(lines, **others, currency=currency):
        raise InvalidInput.at("/total", "The total must be items − discounts + tax + shipping, exactly.")
    fields = pushed.model_dump(exclude={"customer", "items", *amounts})
    return {**fields, "items": items, **amounts}


def _item(item: dict[str, Any], currency: str, pointer: str) -> dict[str, Any]:
    for name in ("unit_price", "discount", "tax"):
        item[name] = money.amount(item[name], currency, pointer=f"{pointer}/{name}")
    return item


def content_hash(stored: dict[str, Any], customer: dict[str, Any] | None) -> str:
    """128 bits over all that was pushed, the customer's naming included; the order of JSON members does not count."""
    canonical = msgspec.json.encode([stored, customer], order="sorted")
    return blake2b(canonical, digest_size=16).hexdigest()


def shape(order: Order) -> OrderOut:
    """An order as clients see it."""
    currency = order.currency
    return OrderOut(
        **order.model_dump(
            exclude={"items", "shipping", "discount", "tax", "total", "content_hash", "revision_id"}, by_alias=False
        ),
        items=[
            OrderItemOut(
                sku=i.sku,
                title=i.title,
                quantity=i.quantity,
                unit_price=money.text(i.unit_price, currency),
                discount=money.text(i.discount, currency),
                tax=money.text(i.tax, currency),
                total=money.text(Line(i.quantity, i.unit_price, i.discount, i.tax).total(), currency),
            )
            for i in order.items
        ],
        shipping=money.text(order.shipping, currency),
        discount=money.text(order.discount, currency),
        tax=money.text(order.tax, currency),
        total=money.text(order.total, currency),
    )
