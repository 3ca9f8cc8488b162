"""What an order adds up to. Pure and exact; the database checks the same sum (``contract.py``)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from crm import money


class Line(NamedTuple):
    """One item's amounts: ``quantity × unit_price − discount + tax``."""

    quantity: int
    unit_price: Decimal
    discount: Decimal
    tax: Decimal

    def price(self) -> Decimal:
        """Before discount and tax."""
        return self.quantity * self.unit_price

    def total(self) -> Decimal:
        """After discount, with tax."""
        return self.price() - self.discount + self.tax


def order_total(lines: Iterable[Line], *, discount: Decimal, tax: Decimal, shipping: Decimal, currency: str) -> Decimal:
    """Items − discount + tax + shipping, with the currency's decimals."""
    return money.total([line.total() for line in lines], currency) - discount + tax + shipping
