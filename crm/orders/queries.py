"""Every read and change of orders, as data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from crm.database.ids import for_storage
from crm.database.paging import Listing, Listings, Position, beyond
from crm.database.query import Filter, Pipeline, Query, Update
from crm.orders.states import NOT_COUNTED

LISTINGS: Final = Listings(
    allowed=(
        Listing(frozenset(), ("placed_at",)),
        Listing(frozenset({"customer_id"}), ("placed_at",)),
        Listing(frozenset({"status"}), ("placed_at",)),
        Listing(frozenset({"attached"}), ("placed_at",)),
        Listing(frozenset({"number"}), ("placed_at",)),
    ),
    ranges={"placed_after": "placed_at", "placed_before": "placed_at"},
)


def by_id(order_id: str) -> Query:
    """One order."""
    return Query({"_id": order_id}, limit=1)


def by_external_id(source: str, external_id: str) -> Query:
    """The order that a system calls so."""
    return Query({"source": source, "external_id": external_id}, limit=1)


def everything() -> Filter:
    """All orders."""
    return {}


def of_customer(customer_id: str) -> Filter:
    """A customer's orders."""
    return {"customer_id": customer_id}


def in_status(status: str) -> Filter:
    """Orders in a state."""
    return {"status": status}


def unattached() -> Filter:
    """Orders of nobody: walk-in sales. ``$exists`` rather than null keeps the index's order usable."""
    return {"customer_id": {"$exists": False}}


def with_number(number: str) -> Filter:
    """Orders with a number; two sources may use the same one."""
    return {"number": number}


def within(filter_: Filter, after: datetime | None, before: datetime | None) -> Filter:
    """The same orders, placed at or after one time and before another."""
    bounds = {"$gte": after, "$lt": before}
    placed = {operator: value for operator, value in bounds.items() if value is not None}
    return {**filter_, "placed_at": placed} if placed else filter_


def customer_behind(customer_id: str, position: Position | None, limit: int) -> Query:
    """A customer's latest orders behind a position in time, for the timeline."""
    return beyond(of_customer(customer_id), "-placed_at", position, limit)


def not_yet_there(source: str, external_id: str) -> Filter:
    """Matches no stored order (versions start at 1), so that an upsert can only create.

    The range is not copied into the new document, as an equality would be.
    """
    return {"source": source, "external_id": external_id, "version": {"$lt": 1}}


def created(order_id: str, content: Mapping[str, Any], now: datetime) -> Update:
    """Create; ``recorded_at`` is the server's own time."""
    return {
        "$setOnInsert": {
            "_id": order_id,
            **for_storage(dict(content)),
            "version": 1,
            "created_at": now,
            "updated_at": now,
        },
        "$currentDate": {"recorded_at": True},
    }


def at_version(order_id: str, version: int) -> Filter:
    """An order that nobody has changed since."""
    return {"_id": order_id, "version": version}


def replaced(content: Mapping[str, Any], now: datetime) -> Update:
    """Set the whole content, unset what is None; ``recorded_at`` is the server's own time."""
    gone = {key: "" for key, value in content.items() if value is None}
    update: Update = {
        "$set": {**for_storage(dict(content)), "updated_at": now},
        "$inc": {"version": 1},
        "$currentDate": {"recorded_at": True},
    }
    if gone:
        update["$unset"] = gone
    return update


def detach_all(customer_id: str) -> Filter:
    """The orders to detach when a customer is deleted."""
    return {"customer_id": customer_id}


def detached(now: datetime) -> Update:
    """The books keep the order; the customer and the addresses go."""
    return {
        "$unset": {"customer_id": "", "shipping_address": "", "billing_address": "", "note": ""},
        "$set": {"updated_at": now},
        "$inc": {"version": 1},
    }


def stats(customer_id: str) -> Pipeline:
    """What a customer's orders add up to, by currency."""
    return [
        {"$match": {"customer_id": customer_id, "status": {"$nin": list(NOT_COUNTED)}}},
        {
            "$group": {
                "_id": "$currency",
                "gross": {"$sum": "$total"},
                "count": {"$sum": 1},
                "first": {"$min": "$placed_at"},
                "last": {"$max": "$placed_at"},
            }
        },
        {"$sort": {"_id": 1}},
    ]
