"""Finds the sales that credit notes give money back of; no I/O.

The file does not say which invoice a credit note belongs to, so each of its lines is looked for in the earlier orders
of the same customer, by stock code; postage and other codes that are no article are looked for like any other. A line
is matched as a whole or not at all: where more pieces come back than were sold, the sale that is meant lies before the
file, and a part of them would be given back of another one.

A line takes its pieces, at the price of the note, from the first of these that has enough not yet given back:

1. the latest earlier order that sold them at exactly that price, since a credit note repeats the price of its sale;
2. the latest earlier order that sold them at that price or a higher one;
3. several earlier orders that did so, the latest first.

No piece is given back at more than it was sold for, hence no order gives back more than was paid. Credit notes are
gone through in the order of their times and only look back: a file that goes on longer ends in the same refunds for the
part that it shares with a shorter one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias

from crm.connectors.online_retail.mapping import (
    CURRENCY,
    ZERO,
    CreditNote,
    Line,
    SaleOrder,
    amount_text,
    is_product,
    time_text,
)


class Reason(StrEnum):
    """Why a line of a credit note is not given back of any sale.

    `NO_ARTICLE` stands for a code that is no article and was not sold earlier to the customer, or names no customer.
    """

    NOTHING_BACK = "nothing is given back"
    NO_ARTICLE = "the stock code is no article"
    NO_CUSTOMER = "the credit note names no customer"
    NO_SALE = "no earlier sale of it to this customer"
    MORE_THAN_SOLD = "more pieces than were sold"
    GIVEN_BACK_ALREADY = "earlier credit notes gave the pieces back"
    TOO_CHEAP = "the pieces that are left were sold for less"
    SALE_NOT_THERE = "the service does not have the sale"
    REFUSED = "the service refused the refund"


@dataclass(frozen=True, slots=True)
class Part:
    """Pieces of one line of a credit note, at the line's price; `quantity` is above zero."""

    line: Line
    quantity: int

    @property
    def amount(self) -> Decimal:
        """In pounds, above zero."""
        return self.quantity * self.line.unit_price


@dataclass(frozen=True, slots=True)
class Refund:
    """What one order gives back for one credit note.

    Attributes:
        note: The credit note's number: the refund's id, in each order that the note touches.
        order: The number of the invoice of the sale.
        at: When, in UTC.
        parts: One for each line of the note that this order gives something back of, in the order of the file.
    """

    note: str
    order: str
    at: datetime
    parts: tuple[Part, ...]

    @property
    def amount(self) -> Decimal:
        """In pounds, above zero."""
        return sum((part.amount for part in self.parts), ZERO)

    def body(self) -> dict[str, Any]:
        """For `POST /api/v1/orders/{id}/refunds`."""
        return {
            "id": self.note,
            "currency": CURRENCY,
            "at": time_text(self.at),
            "reason": f"Credit note {self.note}",
            "lines": [
                {"sku": part.line.sku, "quantity": part.quantity, "amount": amount_text(part.amount)}
                for part in self.parts
            ],
        }


@dataclass(frozen=True, slots=True)
class Matching:
    """Every line of every credit note: in parts of refunds that make it up whole, or left with a reason.

    Attributes:
        refunds: By time, then by line of the file.
        unmatched: Lines, likewise.
    """

    refunds: list[Refund]
    unmatched: list[tuple[Line, Reason]]


@dataclass(slots=True)
class _Lot:
    """Pieces that one order sold at one price."""

    order: str
    placed_at: datetime
    price: Decimal
    sold: int
    left: int


_Lots: TypeAlias = dict[tuple[str, str], list[_Lot]]


def find_sales(sales: Iterable[SaleOrder], notes: Iterable[CreditNote]) -> Matching:
    """Find the sales of all credit notes.

    Args:
        sales: All orders of the file, in any order.
        notes: All credit notes of the file, in any order.

    Returns:
        What to give back of which order, and the lines that match nothing.
    """
    lots = _lots(sales)
    parts: defaultdict[tuple[str, str], list[Part]] = defaultdict(list)
    matching = Matching([], [])
    lines = sorted((line for note in notes for line in note.given_back), key=lambda line: (line.placed_at, line.number))
    for line in lines:
        found = _look_for(line, lots)
        if isinstance(found, Reason):
            matching.unmatched.append((line, found))
            continue
        for order, quantity in _take(found, -line.quantity).items():
            parts[line.invoice, order].append(Part(line, quantity))
    matching.refunds.extend(
        Refund(note, order, min(part.line.placed_at for part in given), tuple(given))
        for (note, order), given in parts.items()
    )
    return matching


def _lots(sales: Iterable[SaleOrder]) -> _Lots:
    """What each customer bought of each stock code, the latest order first, within an order the cheapest first."""
    lots: _Lots = defaultdict(list)
    for sale in sales:
        for line in sale.sold:
            if line.customer:
                lot = _Lot(sale.invoice, sale.placed_at, line.unit_price, line.quantity, line.quantity)
                lots[line.customer, line.sku].append(lot)
    for bought in lots.values():
        bought.sort(key=lambda lot: lot.price)
        bought.sort(key=lambda lot: (lot.placed_at, lot.order), reverse=True)
    return lots


def _look_for(line: Line, lots: _Lots) -> list[_Lot] | Reason:
    """The lots to take a line's pieces of, which have enough; the first is to be used up first."""
    if line.quantity >= 0 or line.unit_price <= 0:
        return Reason.NOTHING_BACK
    wanted = -line.quantity
    earlier = [lot for lot in lots.get((line.customer, line.sku), ()) if lot.placed_at <= line.placed_at]
    at_the_price = [lot for lot in earlier if lot.price == line.unit_price]
    covering = [lot for lot in earlier if lot.price >= line.unit_price]
    one = _first_order_with(at_the_price, wanted) or _first_order_with(covering, wanted)
    if one:
        return one
    if sum(lot.left for lot in covering) >= wanted:
        return covering
    return _why_not(earlier, wanted) if earlier else _why_none(line)


def _first_order_with(lots: list[_Lot], wanted: int) -> list[_Lot]:
    by_order: defaultdict[str, list[_Lot]] = defaultdict(list)
    for lot in lots:
        by_order[lot.order].append(lot)
    return next((of_one for of_one in by_order.values() if sum(lot.left for lot in of_one) >= wanted), [])


def _why_none(line: Line) -> Reason:
    """Why there is no earlier sale at all; that the code is no article tells more than that no customer is named."""
    if not is_product(line.sku):
        return Reason.NO_ARTICLE
    return Reason.NO_SALE if line.customer else Reason.NO_CUSTOMER


def _why_not(earlier: list[_Lot], wanted: int) -> Reason:
    if sum(lot.sold for lot in earlier) < wanted:
        return Reason.MORE_THAN_SOLD
    return Reason.GIVEN_BACK_ALREADY if sum(lot.left for lot in earlier) < wanted else Reason.TOO_CHEAP


def _take(lots: list[_Lot], wanted: int) -> dict[str, int]:
    """Use up the lots; returns the pieces of each order."""
    taken: dict[str, int] = {}
    for lot in lots:
        pieces = min(wanted, lot.left)
        if pieces:
            lot.left -= pieces
            wanted -= pieces
            taken[lot.order] = taken.get(lot.order, 0) + pieces
    return taken
