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
from crm.orders.schemas import OrderOut, OrderPut, Reconciled
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
    if not pushed.test:
        del fields["test"]
    return {**fields, "items": items, **amounts}


def _item(item: dict[str, Any], currency: str, pointer: str) -> dict[str, Any]:
    for name in ("unit_price", "discount", "tax"):
        item[name] = money.amount(item[name], currency, pointer=f"{pointer}/{name}")
    return item


def content_hash(stored: dict[str, Any], customer: dict[str, Any] | None) -> str:
    """128 bits over all that was pushed, the customer's naming included; the order of JSON members does not count."""
    canonical = msgspec.json.encode([stored, customer], order="sorted")
    return blake2b(canonical, digest_size=16).hexdigest()


def given_back(row: Mapping[str, Any]) -> Decimal:
    """What was given back of a stored order: its refunds, or all of it where its shop says no more than that."""
    if row["status"] == "refunded":
        return _decimal(row["total"])
    return _decimal(row["refunded"]) if row.get("refunded") is not None else money.zero(row["currency"])


def wire(row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored order (as the driver has it, or dumped from its document) as the members of ``OrderOut``."""
    currency = row["currency"]

    def text(amount: Any) -> str:
        return money.text(_decimal(amount), currency)

    amounts = {name: text(row[name]) for name in ("shipping", "discount", "tax", "total")}
    return {
        "id": row["_id"],
        **{name: row[name] for name in ("version", "source", "external_id", "currency", "placed_at", "status")},
        **{name: row.get(name) for name in _OPTIONAL},
        "source_status": row.get("source_status") or row["status"],
        "test": row.get("test") or False,
        "items": [_item_out(item, currency) for item in row["items"]],
        **amounts,
        "refunded": money.text(given_back(row), currency),
        "refunds": [refund_out(refund, currency) for refund in row.get("refunds") or ()],
        **{name: _address(row.get(name)) for name in ("shipping_address", "billing_address")},
        **{name: row[name] for name in ("content_hash", "created_at", "updated_at")},
    }


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


_OPTIONAL: Final = ("number", "customer_id", "source_updated_at", "note", "changed_by")
_NO_ADDRESS: Final = dict.fromkeys(PostalAddress.model_fields)


def _item_out(item: Mapping[str, Any], currency: str) -> dict[str, Any]:
    amounts = {name: _decimal(item[name]) for name in ("unit_price", "discount", "tax")}
    return {
        **{name: item[name] for name in ("sku", "title", "quantity")},
        **{name: money.text(amount, currency) for name, amount in amounts.items()},
        "total": money.text(Line(item["quantity"], **amounts).total(), currency),
    }


def _address(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if stored is None else {**_NO_ADDRESS, **stored}


def _decimal(value: Any) -> Decimal:
    amount: Decimal = from_bson(value)
    return amount
