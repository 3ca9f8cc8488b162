"""Every read and change of deliveries, as data."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from crm.database.paging import Listing, Listings
from crm.database.query import Filter, Query, Update
from crm.inbox.documents import Delivery

LISTINGS: Final = Listings(
    allowed=(
        Listing(frozenset({"state"}), ("received_at",)),
        Listing(frozenset({"state", "connection_id"}), ("received_at",)),
    ),
)
_SHOWN: Final = tuple(sorted(Delivery.model_fields.keys() - {"id", "body", "revision_id"}))
#: What decides the order in which deliveries are carried out; their bodies stay where they are.
_ORDERED_BY: Final = ("source_version", "triggered_at", "received_at")


def by_id(delivery_id: str) -> Query:
    """One delivery."""
    return Query({"_id": delivery_id}, limit=1)


def without_body(query: Query) -> Query:
    """The same deliveries without what was sent: it can be large, and holds people's data."""
    return replace(query, projection=_SHOWN)


def in_state(state: str) -> Filter:
    """Deliveries in a state."""
    return {"state": state}


def bodies_behind(after: str, limit: int) -> Query:
    """The deliveries whose ids come next, with what was sent."""
    return Query({"_id": {"$gt": after}}, (("_id", 1),), limit)


def done_one(delivery_id: str) -> Filter:
    """A delivery, if it was carried out."""
    return {"_id": delivery_id, "state": "done"}


def emptied(*, of_a_customer: bool) -> Update:
    """Nothing is left of what was sent; a customer's own id, which stands in ``resource``, goes, too."""
    return {"$set": {"body": b""}, **({"$unset": {"resource": ""}} if of_a_customer else {})}


def of_connection(connection_id: str, state: str) -> Filter:
    """A connection's deliveries in a state."""
    return {"connection_id": connection_id, "state": state}


def due(now: datetime, limit: int) -> Query:
    """Deliveries that wait, or whose claim has ended, the longest first. Those that are settled have no ``due_at``."""
    return Query({"due_at": {"$lte": now}}, (("due_at", 1),), limit, _ORDERED_BY)


def due_longest(now: datetime) -> Query:
    """Since when the delivery has been due that has waited longest; the index alone answers it."""
    return replace(due(now, 1), projection=("due_at",))


def still_due(delivery_id: str, now: datetime) -> Filter:
    """A delivery that nobody has claimed meanwhile."""
    return {"_id": delivery_id, "due_at": {"$lte": now}}


def claimed(until: datetime) -> Update:
    """Ours until then; whoever finds it later takes it over."""
    return {"$set": {"state": "working", "due_at": until}, "$inc": {"attempts": 1}}


def claimed_by_us(delivery_id: str, attempt: int) -> Filter:
    """A delivery whose claim nobody has taken over."""
    return {"_id": delivery_id, "state": "working", "attempts": attempt}


def done(outcome: str, expires_at: datetime) -> Update:
    """It is carried out, or needs not be."""
    return {
        "$set": {"state": "done", "outcome": outcome, "expires_at": expires_at},
        "$unset": {"due_at": "", "reason": "", "detail": ""},
    }


def put_off(until: datetime) -> Update:
    """It is tried again then."""
    return {"$set": {"state": "waiting", "due_at": until}}


def queued(until: datetime) -> Update:
    """It is looked at again then."""
    return {"$set": {"due_at": until}}


def dead(reason: str, detail: str) -> Update:
    """It cannot be carried out as it is."""
    return {"$set": {"state": "dead", "reason": reason, "detail": detail}, "$unset": {"due_at": ""}}


def replayed(now: datetime) -> Update:
    """It is tried again from the start."""
    return {
        "$set": {"state": "waiting", "due_at": now, "attempts": 0},
        "$unset": {"reason": "", "detail": ""},
    }


def dead_one(delivery_id: str) -> Filter:
    """A delivery, if it is dead."""
    return {"_id": delivery_id, "state": "dead"}


def newer_applied(connection_id: str, resource: str, version: datetime, sent: datetime | None, came: datetime) -> Query:
    """A later state of the same resource that has been carried out; see ``_beside``."""
    return Query(
        {
            "connection_id": connection_id,
            "resource": resource,
            "state": "done",
            "outcome": "applied",
            **_beside("$gt", version, sent, came),
        },
        limit=1,
        projection=("_id",),
    )


def older_dead(connection_id: str, resource: str, version: datetime, sent: datetime | None, came: datetime) -> Filter:
    """Earlier states of the same resource that could not be carried out; see ``_beside``."""
    return {
        "connection_id": connection_id,
        "resource": resource,
        "state": "dead",
        **_beside("$lt", version, sent, came),
    }


def _beside(than: str, version: datetime, sent: datetime | None, came: datetime) -> Filter:
    """States before or after one: by the source's date, of the same date by when they were sent, then by arrival.

    Sources date to the second, and an order can be made and paid within one. ``came`` counts where neither says when it
    was sent, or both say the same.
    """
    return {
        "source_version": {f"{than}e": version},
        "$or": [
            {"source_version": {than: version}},
            {"source_version": version, "triggered_at": {than: sent}},
            {"source_version": version, "triggered_at": sent, "received_at": {than: came}},
        ],
    }
