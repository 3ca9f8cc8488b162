"""What a list of orders is narrowed to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from crm.database.query import Filter
from crm.orders import queries


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """What a list of orders is narrowed to.

    Attributes:
        customer_id: Whose.
        status: In which state.
        attached: False for walk-in sales; True is not served by an index.
        number: The number that the customer was told.
        source: The system that it comes from.
        placed_after: At or after.
        placed_before: Before.
    """

    customer_id: str | None = None
    status: str | None = None
    attached: bool | None = None
    number: str | None = None
    source: str | None = None
    placed_after: datetime | None = None
    placed_before: datetime | None = None


def chosen(wanted: OrderFilter) -> Filter:
    """The orders that are wanted, whenever they were placed."""
    if wanted.customer_id is not None:
        return queries.of_customer(wanted.customer_id)
    if wanted.status is not None:
        return queries.in_status(wanted.status)
    if wanted.attached is not None:
        return queries.unattached()
    if wanted.number is not None:
        return queries.with_number(wanted.number)
    if wanted.source is not None:
        return queries.of_source(wanted.source)
    return queries.everything()


def spellings(number: str) -> list[str]:
    """An order's number, and as it may be stored, too: some shops put a ``#`` before it, and people leave it out."""
    return [number, number[1:]] if number.startswith("#") and len(number) > 1 else [number, f"#{number}"]
