"""Shopify's orders as ours. Pure.

Amounts are the shop's own currency (``price``, not ``presentment_money``). Where prices include tax, they are kept as
the customer saw them, and the tax in them is not shown apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import chain, combinations
from typing import Any, Final

from crm import money
from crm.connectors import reading
from crm.connectors.balancing import NO_SUM, Parts, Sold, balanced, lacking, order_put
from crm.connectors.reading import Json
from crm.customers.schemas import CustomerRef, PostalAddress
from crm.errors import FieldError, Unmappable
from crm.orders.schemas import OrderPut
from crm.orders.states import Status

_NOTHING: Final = Decimal(0)
_BY_MONEY: Final[dict[str, Status]] = {
    "pending": "pending",
    "authorized": "pending",
    "partially_paid": "pending",
    "expired": "pending",
    "paid": "paid",
    "partially_refunded": "partially_refunded",
    "refunded": "refunded",
    "voided": "cancelled",
}


def order(data: Json) -> OrderPut:
    """An order of ``orders/*``.

    Raises:
        Unmappable: It cannot be expressed as one of ours.
        InvalidAmount: Its currency is not known.
    """
    currency = reading.text(data, "currency") or ""
    money.minor_units(currency)  # refuses an unknown one
    placed_at = reading.moment(data, "processed_at", "created_at")
    if placed_at is None:
        raise Unmappable(
            "The order has no date.", reason="unreadable_field", errors=(FieldError("/created_at", "Missing."),)
        )
    return order_put(
        {
            **_amounts(data, currency),
            "customer": customer_of(data),
            "currency": currency,
            "placed_at": placed_at,
            "status": status(data),
            "number": _number(data),
            "shipping_address": address(reading.inner(data, "shipping_address")),
            "billing_address": address(reading.inner(data, "billing_address")),
            "source_updated_at": reading.moment(data, "updated_at"),
            "note": reading.text(data, "note", longest=10_000),
            "test": data.get("test") is True,
        }
    )


def status(data: Json) -> Status:
    """Ours from what Shopify says of money, of parcels and of the end.

    Raises:
        Unmappable: Shopify has a new word for the money.
    """
    paid = _BY_MONEY.get(reading.text(data, "financial_status") or "pending")
    if paid is None:
        raise Unmappable(
            "Shopify says something new of the payment.",
            reason="unknown_status",
            errors=(FieldError("/financial_status", "This value is not known."),),
        )
    if paid == "pending" and _was_paid_in_part(data):
        paid = "paid"
    if paid == "partially_refunded":
        return paid  # the shop kept a part of the money, cancelled or not
    if paid == "cancelled" or reading.has(data, "cancelled_at"):
        return "cancelled"
    if paid == "refunded":
        return paid
    if reading.text(data, "fulfillment_status") != "fulfilled":
        return paid
    parcels = [p for p in reading.each(data, "fulfillments") if reading.text(p, "status") != "cancelled"]
    arrived = parcels and all(reading.text(p, "shipment_status") == "delivered" for p in parcels)
    return "delivered" if arrived else "fulfilled"


def _was_paid_in_part(data: Json) -> bool:
    """Whether a part was paid, and some of that given back: nothing can be given back of what is pending here."""
    if reading.text(data, "financial_status") != "partially_paid":
        return False
    payments = [t for refund in reading.each(data, "refunds") for t in reading.each(refund, "transactions")]
    return any(
        reading.text(t, "kind") in {"refund", None}
        and reading.text(t, "status") in {"success", None}
        and reading.amount(t, "amount") > 0
        for t in payments
    )


def customer_of(data: Json) -> CustomerRef | None:
    """Whose order it is: null for a guest at the till and where the person was erased."""
    person, billing = reading.inner(data, "customer"), reading.inner(data, "billing_address")
    shipping = reading.inner(data, "shipping_address")
    fields = {
        "external_id": reading.identifier(person, "id"),
        "email": reading.email(person.get("email"), data.get("email"), data.get("contact_email")),
        # Never the recipient's: two guests who send presents to one person are not one.
        "phone": reading.phone(person.get("phone"), data.get("phone"), billing.get("phone")),
    }
    if not any(fields.values()):
        return None
    names = {
        name: reading.text(person, name) or reading.text(billing, name) or reading.text(shipping, name)
        for name in ("first_name", "last_name")
    }
    return CustomerRef.model_validate({**fields, **names})


def address(data: Json) -> PostalAddress | None:
    """A billing or shipping address."""
    return reading.address(
        {
            "name": reading.text(data, "name") or _joined(data, "first_name", "last_name"),
            "company": data.get("company"),
            "line1": data.get("address1"),
            "line2": data.get("address2"),
            "city": data.get("city"),
            "region": data.get("province") or data.get("province_code"),
            "postal_code": data.get("zip"),
            "country": data.get("country_code"),
            "phone": data.get("phone"),
        }
    )


def sku_of(line: Json, variant_id: str | None) -> str:
    """The SKU; where the shop gives none, the variant's id stands in, the same here and in products."""
    return reading.text(line, "sku", longest=100) or f"variant:{variant_id or 'none'}"


def _amounts(data: Json, currency: str) -> dict[str, Any]:
    """By the first reading of the order that adds up.

    ``quantity`` and ``total_price`` are those of the sale. An order that was edited since adds up by what is left of
    it, ``current_quantity``; but so does one of which something was given back, and that is a refund and no edit.
    """
    ways = [("quantity", "total_price")]
    if not any(reading.each(refund, "transactions") for refund in reading.each(data, "refunds")):
        ways += [("current_quantity", "total_price"), ("current_quantity", "current_total_price")]
    refused: Unmappable | None = None
    for quantity, total in ways:
        try:
            if total in data:
                return _by(data, currency, quantity, total)
        except Unmappable as exc:
            refused = refused or exc
    raise refused or Unmappable("The order has no total.", reason="does_not_add_up")


def _by(data: Json, currency: str, quantity: str, total: str) -> dict[str, Any]:
    included = data.get("taxes_included") is True
    lines = [sold for line in reading.each(data, "line_items") if (sold := _line(line, quantity, included=included))]
    shipping = _shipping(data)
    on_lines = sum((line.tax for line in lines), _NOTHING)
    tax = _NOTHING if included else (reading.amount(data, "total_tax") if "total_tax" in data else on_lines)
    rounded = _rounded(data, included=included)
    parts = Parts(lines, reading.amount(data, total), tax, shipping, rounded=rounded)
    rest, rounding = lacking(parts, currency)
    more = _what_may_belong(data, parts)
    refused: Unmappable | None = None
    for slack in (_NOTHING, rounding):
        for chosen in _some_of(more):
            if abs(rest - sum((one.worth() for one in chosen), _NOTHING)) <= slack:
                try:
                    return balanced(_with(parts, chosen), currency)
                except Unmappable as exc:
                    refused = refused or exc
    raise refused or Unmappable(NO_SUM, reason="does_not_add_up")


def _rounded(data: Json, *, included: bool) -> int:
    """How many amounts Shopify may have rounded: taxes beside the prices, and shares of discounts; never a price."""
    lines = [*reading.each(data, "line_items"), *reading.each(data, "shipping_lines")]
    shares = sum(len(reading.each(line, "discount_allocations")) for line in lines)
    taxes = [] if included else [tax for line in [data, *lines] for tax in reading.each(line, "tax_lines")]
    return shares + sum(bool(reading.amount(tax, "price")) for tax in taxes)


@dataclass(frozen=True, slots=True)
class _More:
    """What Shopify counts into the total under some conditions only."""

    lines: tuple[Sold, ...] = ()
    tax: Decimal = _NOTHING
    discount: Decimal = _NOTHING

    def worth(self) -> Decimal:
        """What it adds to the sum of an order's parts."""
        return sum((line.price for line in self.lines), _NOTHING) + self.tax - self.discount


def _what_may_belong(data: Json, parts: Parts) -> list[_More]:
    """What of it the order has.

    A tip is part of the total, but in some versions also a line; duties and fees may be there or not; discounts that
    are on no line are the order's.
    """
    on_lines = sum((line.discount for line in parts.lines), _NOTHING)
    on_shipping = sum((_allocated(line) for line in reading.each(data, "shipping_lines")), _NOTHING)
    tip, duties = reading.amount(data, "total_tip_received"), _shop_money(data, "original_total_duties_set")
    fees = _shop_money(data, "original_total_additional_fees_set")
    discount = reading.amount(data, "total_discounts") - on_lines - on_shipping
    possible = [
        _More((Sold("tip", "Tip", 1, tip),)),
        _More(tax=duties),
        _More((Sold("fee", "Additional fees", 1, fees),)),
        _More(discount=discount),
    ]
    return [more for more, amount in zip(possible, (tip, duties, fees, discount), strict=True) if amount > 0]


def _some_of(more: Sequence[_More]) -> Iterator[tuple[_More, ...]]:
    """None, some or all of it."""
    return chain.from_iterable(combinations(more, number) for number in range(len(more) + 1))


def _with(parts: Parts, chosen: Sequence[_More]) -> Parts:
    return replace(
        parts,
        lines=[*parts.lines, *(line for more in chosen for line in more.lines)],
        tax=parts.tax + sum((more.tax for more in chosen), _NOTHING),
        discount=sum((more.discount for more in chosen), _NOTHING),
    )


def _line(line: Json, quantity_field: str, *, included: bool) -> Sold | None:
    quantity = line.get(quantity_field, line.get("quantity"))
    if isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 1:
        return None
    tax = sum((reading.amount(t, "price") for t in reading.each(line, "tax_lines")), _NOTHING)
    return Sold(
        sku=sku_of(line, reading.identifier(line, "variant_id") or reading.identifier(line, "id")),
        title=reading.text(line, "name", "title", "sku") or "Item",
        quantity=quantity,
        price=reading.amount(line, "price") * quantity,
        # In "discount_allocations" are the line's own and its share of the order's.
        discount=_allocated(line) if "discount_allocations" in line else reading.amount(line, "total_discount"),
        tax=_NOTHING if included else tax,
    )


def _shipping(data: Json) -> Decimal:
    if not isinstance(data.get("shipping_lines"), list):
        return _shop_money(data, "total_shipping_price_set")
    out = _NOTHING
    for line in reading.each(data, "shipping_lines"):
        if "discount_allocations" in line:
            out += reading.amount(line, "price") - _allocated(line)
        else:
            out += reading.amount(line, "discounted_price" if reading.has(line, "discounted_price") else "price")
    return out


def _allocated(line: Json) -> Decimal:
    return sum((reading.amount(d, "amount") for d in reading.each(line, "discount_allocations")), _NOTHING)


def _shop_money(data: Json, name: str) -> Decimal:
    return reading.amount(reading.inner(reading.inner(data, name), "shop_money"), "amount")


def _number(data: Json) -> str | None:
    """What the customer was told, without Shopify's ``#``."""
    told = reading.text(data, "name", longest=100) or reading.identifier(data, "order_number")
    return reading.plain((told or "").removeprefix("#"), 100)


def _joined(data: Json, *names: str) -> str | None:
    return " ".join(part for name in names if (part := reading.text(data, name))) or None
