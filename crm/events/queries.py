"""Every read of browsing events, as data."""

from __future__ import annotations

from typing import Final

from crm.database.paging import Listing, Listings, Position, beyond
from crm.database.query import Filter, Query

LISTINGS: Final = Listings(
    allowed=(
        Listing(frozenset({"customer_id"}), ("occurred_at",)),
        Listing(frozenset({"anonymous_id"}), ("occurred_at",)),
    )
)


def of_customer(customer_id: str) -> Filter:
    """A customer's events."""
    return {"customer_id": customer_id}


def of_visitor(anonymous_id: str) -> Filter:
    """The events of somebody who was not signed in."""
    return {"anonymous_id": anonymous_id}


def customer_behind(customer_id: str, position: Position | None, limit: int) -> Query:
    """A customer's latest events behind a position in time, for the timeline."""
    return beyond(of_customer(customer_id), "-occurred_at", position, limit)
