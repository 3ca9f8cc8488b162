"""Makes the amounts of another system's order add up by our rule, to its own total, exactly. Pure.

Ours: items (quantity × unit price − discount + tax) − discount + tax + shipping = total, nothing negative, and no more
decimals than the currency has. What does not fit is moved, never lost:

- A line whose price does not divide by its quantity gets the next higher unit price and the difference as discount:
  3 pieces for 10.00 are 3 × 3.34 − 0.02.
- Tax that is not on a line (of shipping, of a fee) is the order's; where the lines have more than the order, all of it
  is the order's.
- What rounding leaves over, at most one smallest unit for each amount that can have been rounded (a tax, a share of a
  discount, one with more decimals than the currency), is the order's tax where it is lacking, and the order's discount
  where it is too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Any, Final

from pydantic import ValidationError

from crm import money
from crm.errors import FieldError, Unmappable
from crm.orders.schemas import OrderItemIn, OrderPut

_NOTHING: Final = Decimal(0)
NO_SUM: Final = "The total is not what its parts add up to."


@dataclass(frozen=True, slots=True)
class Sold:
    """One line as the source has it.

    Attributes:
        sku: What was sold.
        title: What it was called.
        quantity: How many, 1 or more.
        price: Of all pieces together, before discount and without the tax below.
        discount: On all pieces together.
        tax: On all pieces together; nothing where it is part of the price.
    """

    sku: str
    title: str
    quantity: int
    price: Decimal
    discount: Decimal = _NOTHING
    tax: Decimal = _NOTHING


@dataclass(frozen=True, slots=True)
class Parts:
    """An order's amounts as the source has them.

    Attributes:
        lines: What was sold.
        total: What was paid in all.
        tax: All tax that is not part of the prices, the lines' included.
        shipping: Before tax, after discounts.
        discount: What the lines do not have already.
        rounded: How many of these amounts the source may have rounded.
    """

    lines: Sequence[Sold]
    total: Decimal
    tax: Decimal = _NOTHING
    shipping: Decimal = _NOTHING
    discount: Decimal = _NOTHING
    rounded: int = 0


def lacking(parts: Parts, currency: str) -> tuple[Decimal, Decimal]:
    """What the total has more than its parts (less: below zero), and how much of that can be rounding.

    Raises:
        InvalidAmount: The currency is not known.
        Unmappable: The total has more decimals than the currency.
    """
    smallest = _smallest(currency)
    rest = _total(parts, smallest) - _sum(parts, smallest)
    return rest, (parts.rounded + _cut(parts, smallest)) * smallest


def balanced(parts: Parts, currency: str) -> dict[str, Any]:
    """The fields of an ``OrderPut`` that are amounts.

    Args:
        parts: The source's amounts.
        currency: ISO 4217.

    Raises:
        InvalidAmount: The currency is not known.
        Unmappable: They do not add up, or something is negative.
    """
    smallest = _smallest(currency)
    total = _total(parts, smallest)
    lines, discount = _without_negatives(parts, smallest)
    tax, shipping = (amount.quantize(smallest, ROUND_HALF_UP) for amount in (parts.tax, parts.shipping))
    on_lines = sum((line.tax for line in lines), _NOTHING)
    if on_lines > tax:
        lines, on_lines = [replace(line, tax=_NOTHING) for line in lines], _NOTHING
    rest, rounding = lacking(parts, currency)
    if abs(rest) > rounding:
        raise Unmappable(NO_SUM, reason="does_not_add_up")
    tax, discount = tax + max(rest, _NOTHING), discount + max(-rest, _NOTHING)
    if min(tax - on_lines, shipping, discount, total) < 0:
        raise Unmappable("An amount of the order is negative.", reason="does_not_add_up")
    if not lines:
        raise Unmappable("The order has no items.", reason="no_items")
    amounts = {"shipping": shipping, "discount": discount, "tax": tax - on_lines, "total": total}
    return {
        "items": [_item(line, smallest) for line in lines],
        **{name: _text(amount, smallest) for name, amount in amounts.items()},
    }


def order_put(fields: dict[str, Any]) -> OrderPut:
    """The order, if our own schema takes it.

    Raises:
        Unmappable: It does not.
    """
    try:
        return OrderPut.model_validate(fields)
    except ValidationError as exc:
        raise refusal(exc) from None


def refusal(exc: ValidationError) -> Unmappable:
    """What our own schema says of what was mapped, without the values."""
    errors = tuple(FieldError("/" + "/".join(map(str, e["loc"])), e["msg"]) for e in exc.errors(include_input=False))
    return Unmappable("What was sent cannot be stored.", reason="not_acceptable", errors=errors[:20])


def _smallest(currency: str) -> Decimal:
    return Decimal(1).scaleb(-money.minor_units(currency))


def _total(parts: Parts, smallest: Decimal) -> Decimal:
    total = parts.total.quantize(smallest, ROUND_HALF_UP)
    if total != parts.total:
        raise Unmappable("The total has more decimals than its currency.", reason="does_not_add_up")
    return total


def _sum(parts: Parts, smallest: Decimal) -> Decimal:
    """Of all parts as they are stored: each rounded to the currency."""
    plus = [parts.tax, parts.shipping, *(line.price for line in parts.lines)]
    minus = [parts.discount, *(line.discount for line in parts.lines)]
    rounded = ([amount.quantize(smallest, ROUND_HALF_UP) for amount in side] for side in (plus, minus))
    gained, lost = (sum(side, _NOTHING) for side in rounded)
    return gained - lost


def _cut(parts: Parts, smallest: Decimal) -> int:
    """How many amounts have more decimals than the currency."""
    amounts = [parts.tax, parts.shipping, parts.discount]
    amounts += [amount for line in parts.lines for amount in (line.price, line.discount)]
    return sum(amount != amount.quantize(smallest, ROUND_HALF_UP) for amount in amounts)


def _without_negatives(parts: Parts, smallest: Decimal) -> tuple[list[Sold], Decimal]:
    """Lines rounded to the currency, and the order's discount: a line below zero is one."""
    discount = parts.discount.quantize(smallest, ROUND_HALF_UP)
    lines = []
    for line in parts.lines:
        price, off, tax = (x.quantize(smallest, ROUND_HALF_UP) for x in (line.price, line.discount, line.tax))
        if off < 0:  # a surcharge
            price, off = price - off, _NOTHING
        if price < 0:
            discount -= price
            continue
        lines.append(replace(line, price=price, discount=off, tax=max(tax, _NOTHING)))
    return lines, discount


def _item(line: Sold, smallest: Decimal) -> OrderItemIn:
    unit = (line.price / line.quantity).quantize(smallest, ROUND_CEILING)
    rounded_up = unit * line.quantity - line.price
    try:
        return OrderItemIn(
            sku=line.sku,
            title=line.title,
            quantity=line.quantity,
            unit_price=_text(unit, smallest),
            discount=_text(line.discount + rounded_up, smallest),
            tax=_text(line.tax, smallest),
        )
    except ValidationError as exc:
        raise refusal(exc) from None


def _text(amount: Decimal, smallest: Decimal) -> str:
    return f"{amount.quantize(smallest):f}"
