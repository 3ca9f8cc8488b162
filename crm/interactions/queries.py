"""Every read and change of interactions, as data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from crm.database.documents import set_fields
from crm.database.paging import Listing, Listings, Position, beyond
from crm.database.query import Filter, Pipeline, Query, Update

LISTINGS: Final = Listings(
    allowed=(
        Listing(frozenset({"customer_id"}), ("occurred_at",)),
        Listing(frozenset({"mentions"}), ("occurred_at",)),
        Listing(frozenset({"assignee", "status"}), ("due_at",), ascending=True),
        Listing(frozenset({"customer_id", "status"}), ("due_at",), ascending=True),
        Listing(frozenset({"status"}), ("due_at",), ascending=True),
    ),
    ranges={"due_after": "due_at", "due_before": "due_at"},
)
#: What is left of a talk with somebody who was deleted while it was noted: nothing that was said, so it may stay.
EMPTIED: Final = "The customer was deleted."
#: Tasks without a due date cannot be sorted by it and are left out.
_DUE: Final = {"due_at": {"$exists": True}}


def by_id(interaction_id: str) -> Query:
    """One interaction."""
    return Query({"_id": interaction_id}, limit=1)


def of_customer(customer_id: str) -> Filter:
    """All talks with a customer."""
    return {"customer_id": customer_id}


def told_of(customer_id: str) -> Filter:
    """All talks with a customer in which something was said."""
    return {"customer_id": customer_id, "subject": {"$ne": EMPTIED}}


def owners_behind(after: str, limit: int) -> Query:
    """Whose talks come next, in the order of customers' ids; the index alone answers it."""
    return Query({"customer_id": {"$gt": after}}, (("customer_id", 1),), limit, ("customer_id",))


def mentioning(kind: str, id_: str) -> Filter:
    """Talks and tasks about an order or a product. The second condition makes the partial index usable."""
    return {"mentions": {"$elemMatch": {"kind": kind, "id": id_}}, "mentions.id": id_}


def tasks_of(assignee: str, status: str) -> Filter:
    """A colleague's tasks in a state."""
    return {"assignee": assignee, "status": status, **_DUE}


def tasks_for_customer(customer_id: str, status: str) -> Filter:
    """The tasks about a customer in a state."""
    return {"customer_id": customer_id, "status": status, **_DUE}


def tasks_in(status: str) -> Filter:
    """Everybody's tasks in a state."""
    return {"status": status, **_DUE}


def within(filter_: Filter, after: datetime | None, before: datetime | None) -> Filter:
    """The same tasks, due at or after one time and before another."""
    bounds = {"$gte": after, "$lt": before}
    due = {operator: value for operator, value in bounds.items() if value is not None}
    return {**filter_, "due_at": due} if due else filter_


def moved_by(customer_id: str, merge_id: str) -> Filter:
    """The talks that a merge moved to a customer."""
    return {"customer_id": customer_id, "moved_by": merge_id}


def customer_behind(customer_id: str, position: Position | None, limit: int) -> Query:
    """A customer's latest interactions behind a position in time, for the timeline."""
    return beyond(of_customer(customer_id), "-occurred_at", position, limit)


def at_a_glance(customer_id: str, most_tasks: int, most_latest: int) -> Pipeline:
    """A customer's open tasks with ``urgent``, the most urgent first, and behind them the latest talks: one command."""
    latest = [
        {"$match": of_customer(customer_id)},
        {"$sort": {"occurred_at": -1, "_id": -1}},
        {"$limit": most_latest},
    ]
    return [
        {"$match": tasks_for_customer(customer_id, "open")},
        {"$sort": {"due_at": 1, "_id": 1}},
        {"$limit": most_tasks},
        {"$set": {"urgent": {"$literal": True}}},
        {"$unionWith": {"coll": "interactions", "pipeline": latest}},
    ]


def done_behind(customer_id: str, position: Position | None, limit: int) -> Query:
    """A customer's tasks that were done last, behind a position in time, for the timeline."""
    return beyond({"customer_id": customer_id, "done_at": {"$exists": True}}, "-done_at", position, limit)


def at_version(interaction_id: str, version: int) -> Filter:
    """An interaction that nobody has changed since."""
    return {"_id": interaction_id, "version": version}


def changed(fields: Mapping[str, Any], now: datetime) -> Update:
    """Set the fields, unset those that are None."""
    return set_fields(fields, now=now)
