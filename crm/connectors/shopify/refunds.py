"""Shopify's refunds as ours. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from crm.connectors import reading
from crm.connectors.reading import Json
from crm.connectors.refunds import GivenBack, GivenBackLine
from crm.connectors.shopify.mapping import sku_of

_NOTHING: Final = Decimal(0)


def of_order(data: Json) -> list[GivenBack]:
    """The refunds inside an order that gave money back."""
    currency = reading.text(data, "currency")
    found = [refund(one, currency) for one in reading.each(data, "refunds")]
    return [given for given in found if given is not None]


def refund(data: Json, currency: str | None = None) -> GivenBack | None:
    """A refund of ``refunds/create``, or one inside an order; None where no money was given back (yet).

    Shopify also writes a refund where a line was taken off an order, or a parcel came back, without money.

    Args:
        data: The refund.
        currency: Of the order; where it is not given, it is read off the refund's own lines and adjustments.

    Raises:
        Unmappable: It has no id, or an amount or date cannot be read.
    """
    shops = currency or _currency_of(data)
    payments = [t for t in reading.each(data, "transactions") if reading.text(t, "kind") in {"refund", None}]
    payments = [t for t in payments if reading.text(t, "status") != "failure"]
    if any(reading.text(t, "status") in {"pending", "error", "awaiting_response"} for t in payments):
        return None  # the order is delivered again once the money has gone
    amount = sum((reading.amount(t, "amount") for t in payments), _NOTHING)
    if amount <= 0:
        return None
    paid_in = {reading.text(t, "currency") or shops for t in payments}
    read_in = paid_in.pop() if len(paid_in) == 1 else None
    if shops is not None and read_in != shops and (in_shops := _by_lines(data)) > 0:
        amount, read_in = in_shops, shops  # paid in the customer's currency; lines and adjustments have the shop's
    return GivenBack(
        id=reading.required_id(data),
        amount=amount,
        currency=read_in,
        at=reading.moment(data, "processed_at", "created_at"),
        reason=reading.text(data, "note", longest=10_000),
        lines=[_line(line) for line in reading.each(data, "refund_line_items")],
    )


def _line(data: Json) -> GivenBackLine:
    sold, quantity = reading.inner(data, "line_item"), data.get("quantity")
    return GivenBackLine(
        sku=sku_of(sold, reading.identifier(sold, "variant_id") or reading.identifier(data, "line_item_id")),
        quantity=quantity if isinstance(quantity, int) and quantity > 0 else None,
        amount=_in_shops(data, "subtotal") + _in_shops(data, "total_tax"),
    )


def _by_lines(data: Json) -> Decimal:
    lines = sum((_line(line).amount for line in reading.each(data, "refund_line_items")), _NOTHING)
    # Amounts of adjustments (shipping given back, a correction) are negative.
    adjustments = reading.each(data, "order_adjustments")
    others = (_in_shops(a, "amount") + _in_shops(a, "tax_amount") for a in adjustments)
    return lines - sum(others, _NOTHING)


def _in_shops(data: Json, name: str) -> Decimal:
    """An amount in the shop's currency, which Shopify also gives beside the customer's."""
    money = _shop_money(data, name)
    return reading.amount(money, "amount") if reading.has(money, "amount") else reading.amount(data, name)


def _shop_money(data: Json, name: str) -> Json:
    return reading.inner(reading.inner(data, f"{name}_set"), "shop_money")


def _currency_of(data: Json) -> str | None:
    """The shop's, where the refund names it; what was paid in need not be that."""
    moneys = [_shop_money(line, "subtotal") for line in reading.each(data, "refund_line_items")]
    moneys += [_shop_money(one, "amount") for one in reading.each(data, "order_adjustments")]
    return next((found for money in moneys if (found := reading.text(money, "currency_code"))), None)
