"""Every read and change of orders, as data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from crm.database.ids import for_storage
from crm.database.paging import Listing, Listings, Position, beyond
from crm.database.query import Filter, Pipeline, Query, Update, UpdatePipeline
from crm.orders.documents import Refund
from crm.orders.states import NOT_COUNTED

LISTINGS: Final = Listings(
    allowed=(
        Listing(frozenset(), ("placed_at",)),
        Listing(frozenset({"customer_id"}), ("placed_at",)),
        Listing(frozenset({"status"}), ("placed_at",)),
        Listing(frozenset({"attached"}), ("placed_at",)),
        Listing(frozenset({"number"}), ("placed_at",)),
        Listing(frozenset({"source"}), ("placed_at",)),
    ),
    ranges={"placed_after": "placed_at", "placed_before": "placed_at"},
)

#: Of one system, to compare with its own list.
RECONCILED: Final = Listings(
    allowed=(Listing(frozenset({"source"}), ("placed_at",), ascending=True),),
    ranges={"from": "placed_at", "to": "placed_at"},
)
#: What an order was before.
VERSIONS: Final = Listings(allowed=(Listing(frozenset({"order_id"}), ("version",), one_way=True),))


def by_id(order_id: str) -> Query:
    """One order."""
    return Query({"_id": order_id}, limit=1)


def by_external_id(source: str, external_id: str) -> Query:
    """The order that a system calls so."""
    return Query({"source": source, "external_id": external_id}, limit=1)


def by_external_ids(source: str, external_ids: list[str]) -> Query:
    """Several orders of one system."""
    return Query({"source": source, "external_id": {"$in": external_ids}})


def by_ids(order_ids: list[str]) -> Query:
    """Several orders: only what tells whether a write arrived."""
    return Query({"_id": {"$in": order_ids}}, projection=("version", "content_hash"))


def of_source(source: str) -> Filter:
    """A system's orders."""
    return {"source": source}


def everything() -> Filter:
    """All orders."""
    return {}


def of_customer(customer_id: str) -> Filter:
    """A customer's orders."""
    return {"customer_id": customer_id}


def names_of_customer(customer_id: str) -> Query:
    """What a customer's orders are called."""
    return Query(of_customer(customer_id), projection=("source", "external_id"))


def of_source_behind(source: str, after: str, limit: int) -> Query:
    """A system's orders whose ids, as that system calls them, come next: what they are called, and whose they are."""
    filter_ = {"source": source, "external_id": {"$gt": after}}
    return Query(filter_, (("external_id", 1),), limit, ("source", "external_id", "customer_id"))


#: What of an order tells of a person, and what the order is called.
_TRACES: Final = (
    "source", "external_id", "customer_id", "note", "shipping_address", "billing_address", "refunds.reason",
)  # fmt: skip


def traces_of(order_ids: list[str]) -> Query:
    """What some orders tell of a person."""
    return Query({"_id": {"$in": order_ids}}, projection=_TRACES)


def traces_behind(after: str, limit: int) -> Query:
    """What the orders whose ids come next tell of a person."""
    return Query({"_id": {"$gt": after}}, (("_id", 1),), limit, _TRACES)


def whole(order_ids: list[str]) -> Query:
    """Several orders."""
    return Query({"_id": {"$in": order_ids}})


def whole_versions(order_ids: list[str]) -> Query:
    """All that several orders were before."""
    return Query({"order_id": {"$in": order_ids}})


def in_status(status: str) -> Filter:
    """Orders in a state."""
    return {"status": status}


def owners_behind(after: str, limit: int) -> Query:
    """Whose orders come next, in the order of customers' ids; the index alone answers it."""
    return Query({"customer_id": {"$gt": after}}, sort=(("customer_id", 1),), limit=limit, projection=("customer_id",))


def unattached() -> Filter:
    """Orders of nobody: walk-in sales. ``$exists`` rather than null keeps the index's order usable."""
    return {"customer_id": {"$exists": False}}


def with_number(number: str) -> Filter:
    """Orders with a number; two sources may use the same one."""
    return {"number": number}


def numbered(numbers: Sequence[str], limit: int) -> Query:
    """Whose the latest orders with one of these numbers are."""
    return Query({"number": {"$in": list(numbers)}}, (("placed_at", -1),), limit, projection=("customer_id",))


def called(external_id: str, limit: int) -> Query:
    """Whose the orders are that any system calls so."""
    return Query({"external_id": external_id}, limit=limit, projection=("customer_id",))


def within(filter_: Filter, after: datetime | None, before: datetime | None) -> Filter:
    """The same orders, placed at or after one time and before another."""
    bounds = {"$gte": after, "$lt": before}
    placed = {operator: value for operator, value in bounds.items() if value is not None}
    return {**filter_, "placed_at": placed} if placed else filter_


def customer_behind(customer_id: str, position: Position | None, limit: int) -> Query:
    """A customer's latest orders behind a position in time, for the timeline."""
    return beyond(of_customer(customer_id), "-placed_at", position, limit)


def latest_and_due(customer_id: str, limit: int) -> Pipeline:
    """A customer's latest orders, and a row with ``due`` where the totals are to be added up again: one command."""
    due = [{"$match": due_for([customer_id])}, {"$limit": 1}, {"$project": {"due": {"$literal": True}}}]
    return [
        {"$match": of_customer(customer_id)},
        {"$sort": {"placed_at": -1, "_id": -1}},
        {"$limit": limit},
        {"$unionWith": {"coll": "stats_due", "pipeline": due}},
    ]


def refunded_behind(customer_id: str, latest: datetime | None) -> Query:
    """A customer's orders of which something was given back up to a time: whole, for the timeline; people have few."""
    filter_: dict[str, Any] = {"customer_id": customer_id, "refunded": {"$gt": 0}}
    return Query(filter_ if latest is None else {**filter_, "refunds.at": {"$lte": latest}})


def at_version(order_id: str, version: int) -> Filter:
    """An order that nobody has changed since."""
    return {"_id": order_id, "version": version}


def replaced(content: Mapping[str, Any], now: datetime) -> Update:
    """Set the whole content, unset what is None; ``recorded_at`` is the server's own time."""
    gone = {key: "" for key, value in content.items() if value is None}
    update: Update = {
        "$set": {**for_storage(dict(content)), "updated_at": now},
        "$inc": {"version": 1},
        "$currentDate": {"recorded_at": {"$type": "timestamp"}},
    }
    if gone:
        update["$unset"] = gone
    return update


def refund_added(
    refund: Mapping[str, Any], refunded: Decimal, status: str, source_status: str | None, by: str, now: datetime
) -> Update:
    """Add a refund, and what follows from it."""
    fields = {"refunded": refunded, "status": status, "source_status": source_status, "changed_by": by}
    update = replaced(fields, now)
    update["$push"] = {"refunds": for_storage(refund)}
    return update


def versions_with(order_ids: list[str], content_hashes: list[str]) -> Query:
    """Which of these contents orders had before."""
    return Query(
        {"order_id": {"$in": order_ids}, "content_hash": {"$in": content_hashes}},
        projection=("order_id", "content_hash", "source_updated_at"),
    )


def versions_before(order_id: str, version: int) -> Filter:
    """What an order was before a version."""
    return {"order_id": order_id, "version": {"$lt": version}}


def version_after(order_id: str, version: int) -> Query:
    """What an order was at the first version behind one of which there is a record."""
    return Query({"order_id": order_id, "version": {"$gt": version}}, sort=(("version", 1),), limit=1)


def versions_of_customer(customer_id: str) -> Filter:
    """What a customer's orders were before."""
    return {"customer_id": customer_id}


def versions_of_orders(order_ids: list[str]) -> Filter:
    """What some orders were before."""
    return {"order_id": {"$in": order_ids}}


def versions_owners_behind(after: str, limit: int) -> Query:
    """Whose orders' versions come next, in the order of customers' ids."""
    return Query({"customer_id": {"$gt": after}}, (("customer_id", 1),), limit, ("customer_id",))


def versions_behind(after: str, limit: int) -> Query:
    """Of which orders versions come next, in the order of orders' ids."""
    return Query({"order_id": {"$gt": after}}, (("order_id", 1),), limit, ("order_id",))


def retitled(document_id: str, titles: Mapping[int, tuple[str, str]]) -> tuple[Filter, Update]:
    """Items of an order, or of what one was, get other titles: place → as it is, and as it will be."""
    named = {f"items.{place}.title": pair for place, pair in titles.items()}
    there = {name: before for name, (before, _) in named.items()}
    return {"_id": document_id, **there}, {"$set": {name: after for name, (_, after) in named.items()}}


def versions_detached() -> UpdatePipeline:
    """The books keep what the order was, and to which country it went; the customer and the addresses go."""
    return [_without_person()]


def _without_person() -> Update:
    # A field that is missing in the end is left out: $cond with $$REMOVE.
    addresses = {
        name: {
            "$cond": [{"$gt": [f"${name}.country", None]}, {"country": f"${name}.country"}, "$$REMOVE"],
        }
        for name in ("shipping_address", "billing_address")
    }
    gone = dict.fromkeys(("customer_id", "note", "moved_by"), "$$REMOVE")
    return {"$set": {**addresses, **gone, "anonymous": True}}


def detach_all(customer_id: str) -> Filter:
    """The orders to detach when a customer is deleted."""
    return {"customer_id": customer_id}


def detached(now: datetime) -> UpdatePipeline:
    """The books keep the order, and to which country it went; the customer, addresses and free texts go."""
    # A field that a refund does not have is left out. (``$unsetField`` is not in the Stable API.)
    without_reason = {name: f"$$refund.{name}" for name in Refund.model_fields if name != "reason"}
    refunds = {"$map": {"input": "$refunds", "as": "refund", "in": without_reason}}
    return [
        _without_person(),
        {
            "$set": {
                "refunds": {"$cond": [{"$isArray": "$refunds"}, refunds, "$$REMOVE"]},
                "updated_at": now,
                "version": {"$add": ["$version", 1]},
            }
        },
    ]


def moved_by(customer_id: str, merge_id: str) -> Filter:
    """The orders that a merge moved to a customer, and that are theirs still."""
    return {"customer_id": customer_id, "moved_by": merge_id}


def versions_moved_by(customer_id: str, merge_id: str) -> Filter:
    """What those orders were before."""
    return {"customer_id": customer_id, "moved_by": merge_id}


def counted(customer_ids: list[str]) -> Filter:
    """The orders that are part of these customers' totals."""
    return {"customer_id": {"$in": customer_ids}, "status": {"$nin": list(NOT_COUNTED)}, "test": {"$ne": True}}


def stats(customer_ids: list[str]) -> Pipeline:
    """What customers' orders add up to, by customer and currency. An order that is refunded is given back whole."""
    refunded = {"$cond": [{"$eq": ["$status", "refunded"]}, "$total", {"$ifNull": ["$refunded", 0]}]}
    return [
        {"$match": counted(customer_ids)},
        {
            "$group": {
                "_id": {"customer": "$customer_id", "currency": "$currency"},
                "gross": {"$sum": "$total"},
                "refunded": {"$sum": refunded},
                "count": {"$sum": 1},
                "first": {"$min": "$placed_at"},
                "last": {"$max": "$placed_at"},
            }
        },
        {"$sort": {"_id": 1}},
    ]


def due_for(customer_ids: Collection[str]) -> Filter:
    """Whether the totals of any of these customers have to be added up again."""
    return {"customer_ids": {"$in": list(customer_ids)}}


def due_among(customer_ids: list[str]) -> Query:
    """Which of these customers' totals have to be added up again."""
    return Query({"customer_ids": {"$in": customer_ids}}, projection=("customer_ids",))


def due_behind(after: str, limit: int) -> Query:
    """The marks whose ids come next: those of later writes come later."""
    return Query({"_id": {"$gt": after}}, sort=(("_id", 1),), limit=limit, projection=("customer_ids", "at"))


def orphaned(before: datetime, now: datetime) -> Filter:
    """Totals that should have been added up by now, and that no process is at."""
    return {"at": {"$lt": before}, "$or": [{"claimed_until": {"$exists": False}}, {"claimed_until": {"$lt": now}}]}


def due_longest() -> Query:
    """Since when the totals have been due that have waited longest."""
    return Query({}, (("at", 1),), 1, ("at",))


def claimed(until: datetime) -> Update:
    """Tell the other processes that this one is at it."""
    return {"$set": {"claimed_until": until}}


def done(mark_ids: list[str]) -> Filter:
    """Marks to be removed."""
    return {"_id": {"$in": mark_ids}}
