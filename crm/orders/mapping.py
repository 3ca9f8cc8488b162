"""Between pushed orders, stored ones and their wire shape. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final

import msgspec

from crm import money
from crm.customers.schemas import PostalAddress
from crm.database.ids import from_bson
from crm.errors import InvalidInput
from crm.orders.documents import Order
from crm.orders.schemas import OrderItemIn, OrderOut, OrderPut, OrderRefundOut, Reconciled, RefundOut
from crm.orders.totals import Line, order_total

_AMOUNTS: Final = ("shipping", "discount", "tax", "total")
_ADDRESSES: Final = ("shipping_address", "billing_address")
_AS_PUSHED: Final = tuple(
    name for name in OrderPut.model_fields if name not in {"customer", "items", "test", *_AMOUNTS, *_ADDRESSES}
)


def content(pushed: OrderPut) -> dict[str, Any]:
    """The stored fields of a pushed order, amounts exact in its currency.

    Field by field: a model's own dump takes three times as long, and this is the hottest path.

    Raises:
        InvalidInput: An amount does not fit the currency, a discount is larger than its line, or the total is not the
            sum.
    """
    currency = pushed.currency
    items = [_item(item, currency, f"/items/{index}") for index, item in enumerate(pushed.items)]
    amounts = {name: money.amount(getattr(pushed, name), currency, pointer=f"/{name}") for name in _AMOUNTS}
    lines = [Line(i["quantity"], i["unit_price"], i["discount"], i["tax"]) for i in items]
    for index, line in enumerate(lines):
        if line.discount > line.price():
            raise InvalidInput.at(f"/items/{index}/discount", "The discount is larger than the price of the item.")
    others = {name: amounts[name] for name in ("shipping", "discount", "tax")}
    if amounts["total"] != order_total(lines, **others, currency=currency):
        raise InvalidInput.at("/total", "The total must be items − discounts + tax + shipping, exactly.")
    fields: dict[str, Any] = {name: getattr(pushed, name) for name in _AS_PUSHED}
    for name in _ADDRESSES:
        address = getattr(pushed, name)
        fields[name] = None if address is None else address.model_dump()
    if pushed.test:
        fields["test"] = True
    return {**fields, "items": items, **amounts}


def _item(item: OrderItemIn, currency: str, pointer: str) -> dict[str, Any]:
    return {
        "sku": item.sku,
        "title": item.title,
        "quantity": item.quantity,
        "unit_price": money.amount(item.unit_price, currency, pointer=f"{pointer}/unit_price"),
        "discount": money.amount(item.discount, currency, pointer=f"{pointer}/discount"),
        "tax": money.amount(item.tax, currency, pointer=f"{pointer}/tax"),
    }


def content_hash(stored: dict[str, Any], customer: dict[str, Any] | None) -> str:
    """128 bits over all that was pushed, the customer's naming included; the order of JSON members does not count."""
    canonical = msgspec.json.encode([stored, customer], order="sorted")
    return blake2b(canonical, digest_size=16).hexdigest()


def withdrawn_hash(stored_hash: str) -> str:
    """The hash of an order that its source took back: another one, so that the same order sent again is a change."""
    return blake2b(f"withdrawn {stored_hash}".encode(), digest_size=16).hexdigest()


def given_back(row: Mapping[str, Any]) -> Decimal:
    """What was given back of a stored order: its refunds, or all of it where its shop says no more than that."""
    if row["status"] == "refunded":
        return _decimal(row["total"])
    return _decimal(row["refunded"]) if row.get("refunded") is not None else money.zero(row["currency"])


def wire(row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored order (as the driver has it, or dumped from its document) as the members of ``OrderOut``."""
    currency = row["currency"]
    digits = money.minor_units(currency)
    out = {name: row.get(name) for name in _AS_STORED}
    for name in _AMOUNTS:
        out[name] = money.text_with(from_bson(row[name]), digits)
    for name in _ADDRESSES:
        address = row.get(name)
        out[name] = None if address is None else {**_NO_ADDRESS, **address}
    out["id"] = row["_id"]
    out["source_status"] = row.get("source_status") or row["status"]
    out["test"] = row.get("test") or False
    out["items"] = [_item_out(item, digits) for item in row["items"]]
    out["refunded"] = money.text_with(given_back(row), digits)
    out["refunds"] = [refund_out(refund, currency) for refund in row.get("refunds") or ()]
    return out


def refund_out(refund: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """A stored refund as the members of ``RefundOut``."""
    return {
        **{name: refund[name] for name in ("id", "at", "by")},
        "amount": money.text(_decimal(refund["amount"]), currency),
        "reason": refund.get("reason"),
        "lines": [
            {
                "sku": line["sku"],
                "quantity": line.get("quantity"),
                "amount": money.text(_decimal(line["amount"]), currency),
            }
            for line in refund.get("lines") or ()
        ],
    }


def refunds_of(order: Order) -> list[OrderRefundOut]:
    """An order's refunds, each by itself."""
    row = order.model_dump(by_alias=True)
    return [
        OrderRefundOut(
            id=f"{order.id}:{refund['id']}",
            order_id=order.id,
            order_number=order.number,
            order_external_id=order.external_id,
            currency=order.currency,
            refund=RefundOut(**refund_out(refund, order.currency)),
        )
        for refund in row["refunds"] or ()
    ]


def reconciled(order: Order) -> Reconciled:
    """An order as a shop compares it with its own."""
    return Reconciled(
        external_id=order.external_id,
        id=order.id,
        placed_at=order.placed_at,
        source_updated_at=order.source_updated_at,
        content_hash=order.content_hash,
    )


def shape(order: Order) -> OrderOut:
    """An order as clients see it."""
    return OrderOut.model_validate(wire(order.model_dump(by_alias=True)))


_SHAPED: Final = {"id", "source_status", "test", "items", "refunded", "refunds", *_AMOUNTS, *_ADDRESSES}
_AS_STORED: Final = tuple(name for name in OrderOut.model_fields if name not in _SHAPED)
_NO_ADDRESS: Final = dict.fromkeys(PostalAddress.model_fields)


def _item_out(item: Mapping[str, Any], digits: int) -> dict[str, Any]:
    unit_price, discount, tax = (from_bson(item[name]) for name in ("unit_price", "discount", "tax"))
    return {
        "sku": item["sku"],
        "title": item["title"],
        "quantity": item["quantity"],
        "unit_price": money.text_with(unit_price, digits),
        "discount": money.text_with(discount, digits),
        "tax": money.text_with(tax, digits),
        "total": money.text_with(Line(item["quantity"], unit_price, discount, tax).total(), digits),
    }


def _decimal(value: Any) -> Decimal:
    amount: Decimal = from_bson(value)
    return amount
