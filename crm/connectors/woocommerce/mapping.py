"""WooCommerce's orders and refunds as ours. Pure.

A line's ``price`` is a float that WooCommerce has divided: it is never read. ``subtotal`` (before discounts) and
``total`` are of all pieces together, without tax, whatever the shop's prices include.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from crm import money
from crm.connectors import reading
from crm.connectors.balancing import Parts, Sold, balanced, order_put
from crm.connectors.reading import Json
from crm.connectors.refunds import GivenBack
from crm.customers.schemas import CustomerRef, PostalAddress
from crm.errors import FieldError, Unmappable
from crm.orders.schemas import OrderPut
from crm.orders.states import Status

_NOTHING: Final = Decimal(0)
#: Not orders yet: what somebody has typed into a checkout or an editor so far.
DRAFTS: Final = frozenset({"checkout-draft", "auto-draft", "draft", "new"})
_STATUS: Final[dict[str, Status]] = {
    "pending": "pending",
    "on-hold": "pending",
    "processing": "paid",
    "completed": "fulfilled",
    "cancelled": "cancelled",
    "failed": "cancelled",
    "trash": "cancelled",
    "refunded": "refunded",
}


def is_draft(data: Json) -> bool:
    """Whether this is no order yet."""
    return reading.text(data, "status") in DRAFTS


def order(data: Json) -> OrderPut:
    """An order of ``order.*``.

    Raises:
        Unmappable: It cannot be expressed as one of ours.
        InvalidAmount: Its currency is not known.
    """
    currency = reading.text(data, "currency") or ""
    money.minor_units(currency)  # refuses an unknown one
    placed_at = reading.naive_utc(data, "date_created_gmt", "date_paid_gmt")
    if placed_at is None:
        raise Unmappable(
            "The order has no date.", reason="unreadable_field", errors=(FieldError("/date_created_gmt", "Missing."),)
        )
    return order_put(
        {
            **_amounts(data, currency),
            "customer": customer_of(data),
            "currency": currency,
            "placed_at": placed_at,
            "status": status(data),
            "number": reading.text(data, "number", longest=100) or reading.identifier(data, "id"),
            "shipping_address": address(reading.inner(data, "shipping")),
            "billing_address": address(reading.inner(data, "billing")),
            "source_updated_at": reading.naive_utc(data, "date_modified_gmt"),
            "note": reading.text(data, "customer_note", longest=10_000),
        }
    )


def status(data: Json) -> Status:
    """Ours; a shop's own status (plugins add some) counts for what the dates say has happened."""
    known = _STATUS.get((reading.text(data, "status") or "pending").removeprefix("wc-"))
    if known is None:
        sent, paid = reading.has(data, "date_completed_gmt"), reading.has(data, "date_paid_gmt")
        known = "fulfilled" if sent else "paid" if paid else "pending"
    if known in {"paid", "fulfilled"}:
        given = sum((one.amount for one in refunds(data)), _NOTHING)
        if given:
            return "refunded" if given >= reading.amount(data, "total") else "partially_refunded"
    return known


def customer_of(data: Json) -> CustomerRef | None:
    """Whose order it is: 0 is a guest, who is known by the billing address."""
    billing = reading.inner(data, "billing")
    fields = {
        "external_id": reading.identifier(data, "customer_id"),
        "email": reading.email(billing.get("email")),
        "phone": reading.phone(billing.get("phone")),  # the recipient's is not the buyer's
    }
    if not any(fields.values()):
        return None
    names = {name: reading.text(billing, name) for name in ("first_name", "last_name")}
    return CustomerRef.model_validate({**fields, **names})


def address(data: Json) -> PostalAddress | None:
    """A billing or shipping address."""
    names = (reading.text(data, name) for name in ("first_name", "last_name"))
    return reading.address(
        {
            "name": " ".join(name for name in names if name),
            "company": data.get("company"),
            "line1": data.get("address_1"),
            "line2": data.get("address_2"),
            "city": data.get("city"),
            "region": data.get("state"),
            "postal_code": data.get("postcode"),
            "country": data.get("country"),
            "phone": data.get("phone"),
        }
    )


def refunds(data: Json) -> list[GivenBack]:
    """The refunds inside an order; their totals are negative."""
    found = [
        GivenBack(
            id=reading.required_id(one),
            amount=abs(reading.amount(one, "total")),
            currency=reading.text(data, "currency"),
            reason=reading.text(one, "reason", longest=10_000),
        )
        for one in reading.each(data, "refunds")
    ]
    return [given for given in found if given.amount]


def sku_of(data: Json, *, variation_id: str | None, product_id: str | None) -> str:
    """The SKU; where the shop gives none, an id stands in, the same here and in products."""
    found = reading.text(data, "sku", longest=100)
    if found is not None:
        return found
    return f"variation:{variation_id}" if variation_id else f"product:{product_id or 'none'}"


def _amounts(data: Json, currency: str) -> dict[str, Any]:
    lines = [_line(line) for line in reading.each(data, "line_items")]
    fees = [_fee(line) for line in reading.each(data, "fee_lines")]
    parts = Parts(
        lines=[line for line in [*lines, *fees] if line is not None],
        total=reading.amount(data, "total"),
        tax=reading.amount(data, "total_tax"),
        shipping=reading.amount(data, "shipping_total"),
    )
    return balanced(replace(parts, rounded=_rounded(data, parts)), currency)


def _rounded(data: Json, parts: Parts) -> int:
    """How many amounts WooCommerce may have rounded.

    Taxes, what a coupon left of a line, and prices from which a tax was taken out; nobody rounds a plain price.
    """
    if data.get("prices_include_tax") is True:
        shared = len(parts.lines) + len(reading.each(data, "shipping_lines"))
    else:
        shared = sum(bool(line.tax or line.discount) for line in parts.lines)
        shared += sum(bool(reading.amount(line, "total_tax")) for line in reading.each(data, "shipping_lines"))
    return shared + len(reading.each(data, "tax_lines"))


def _line(data: Json) -> Sold | None:
    before, after = reading.amount(data, "subtotal"), reading.amount(data, "total")
    if not reading.has(data, "subtotal"):
        before = after
    quantity = data.get("quantity")
    if isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 1:
        if not before and not after:
            return None
        quantity = 1  # plugins sell 0.5 kg; the amounts are of all of it
    variation, product = reading.identifier(data, "variation_id"), reading.identifier(data, "product_id")
    return Sold(
        sku=sku_of(data, variation_id=variation, product_id=product or reading.identifier(data, "id")),
        title=reading.text(data, "name", "parent_name", "sku") or "Item",
        quantity=quantity,
        price=before,
        discount=before - after,
        tax=reading.amount(data, "total_tax"),
    )


def _fee(data: Json) -> Sold:
    """A fee is a line; one below zero is a discount (``balancing``)."""
    return Sold(
        sku="fee",
        title=reading.text(data, "name") or "Fee",
        quantity=1,
        price=reading.amount(data, "total"),
        tax=reading.amount(data, "total_tax"),
    )
