"""Every read and change of browsing events and of rejected messages, as data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from crm.database.paging import Listing, Listings, Position, beyond
from crm.database.query import Filter, Pipeline, Query, Update

LISTINGS: Final = Listings(
    allowed=(
        Listing(frozenset({"customer_id"}), ("occurred_at",)),
        Listing(frozenset({"source", "anonymous_id"}), ("occurred_at",)),
    )
)
REJECT_LISTINGS: Final = Listings(
    allowed=(Listing(frozenset(), ("received_at",)), Listing(frozenset({"code"}), ("received_at",)))
)


def stored_ids(event_ids: Sequence[str]) -> Query:
    """Which of these are stored: answered from the index on ``_id`` alone."""
    return Query({"_id": {"$in": list(event_ids)}}, projection=("_id",))


def of_identities(identity_ids: Sequence[str]) -> Filter:
    """What some identities did.

    A sort merges one scan of the index for each identity, up to 200 of them; beyond, MongoDB sorts in memory.
    """
    return {"identity_id": _one_of(identity_ids)}


def about_identities(identity_ids: Sequence[str]) -> Filter:
    """The messages that say who some identities are."""
    return {"identifies": _one_of(identity_ids)}


def latest_of(identity_ids: Sequence[str], position: Position | None, limit: int) -> Query:
    """The latest that some identities did, behind a position in time."""
    return beyond(of_identities(identity_ids), "-occurred_at", position, limit)


def latest_about(identity_ids: Sequence[str], position: Position | None, limit: int) -> Query:
    """The latest messages that say who some identities are, behind a position in time."""
    return beyond(about_identities(identity_ids), "-occurred_at", position, limit)


def identities_behind(after: str, limit: int) -> Query:
    """Whose the events are whose identities' ids come next; the index alone answers it."""
    return Query({"identity_id": {"$gt": after}}, (("identity_id", 1),), limit, ("identity_id",))


def commerce_of(identity_ids: Sequence[str], since: datetime, limit: int) -> Query:
    """The latest that some identities did with carts and orders, from a time on."""
    filter_ = {"identity_id": _one_of(identity_ids), "retention": "commerce", "occurred_at": {"$gte": since}}
    return Query(filter_, (("occurred_at", -1), ("_id", -1)), limit)


def latest_of_each(groups: Sequence[Sequence[str]], limit: int, fields: Sequence[str]) -> Pipeline:
    """The latest that each of some groups of identities did, so many of each: one after another in one read."""

    def latest(ids: Sequence[str]) -> Pipeline:
        order = {"occurred_at": -1, "_id": -1}
        shown = dict.fromkeys(("identity_id", *fields), 1)
        return [{"$match": of_identities(ids)}, {"$sort": order}, {"$limit": limit}, {"$project": shown}]

    first, *others = groups
    return [*latest(first), *({"$unionWith": {"coll": "events", "pipeline": latest(ids)}} for ids in others)]


def received_between(start: datetime, end: datetime, after: str, limit: int) -> Pipeline:
    """The ids of all identities of which something was received in a span of time, in order, behind an id."""
    span = {"received_at": {"$gte": start, "$lt": end}}
    return [
        {"$match": {"$or": [{"retention": kind, **span} for kind in ("browsing", "commerce", "identity")]}},
        {"$group": {"_id": {"$ifNull": ["$identity_id", "$identifies"]}}},
        {"$match": {"_id": {"$gt": after}}},
        {"$sort": {"_id": 1}},
        {"$limit": limit},
    ]


def every_reject() -> Filter:
    """All rejected messages."""
    return {}


def rejects_with(code: str) -> Filter:
    """The messages that were rejected for one reason."""
    return {"code": code}


def reject_by_id(reject_id: str) -> Query:
    """One rejected message."""
    return Query({"_id": reject_id}, limit=1)


def rejects_by_ids(reject_ids: Sequence[str]) -> Filter:
    """Several rejected messages."""
    return {"_id": {"$in": list(reject_ids)}}


def rejects_behind_id(after: str, limit: int) -> Query:
    """Whom the rejected messages name whose ids come next."""
    return Query({"_id": {"$gt": after}}, (("_id", 1),), limit, ("identity_ids",))


def rejects_naming(identity_ids: Sequence[str]) -> Filter:
    """The rejected messages that name one of some identities."""
    return {"identity_ids": _one_of(identity_ids)}


def rejects_of(identity_ids: Sequence[str]) -> Query:
    """The same, to read."""
    return Query(rejects_naming(identity_ids))


def rejects_behind(code: str | None, position: Position | None, limit: int) -> Query:
    """Rejected messages of one reason, or of any, the latest first, behind a position in time."""
    return beyond(every_reject() if code is None else rejects_with(code), "-received_at", position, limit)


def replayed(at: datetime) -> Update:
    """It was taken after all."""
    return {"$set": {"replayed_at": at}}


def _one_of(ids: Sequence[str]) -> Filter:
    # The index holds documents that have the field: said again, so that MongoDB sees that it covers all of these.
    return {"$in": list(ids), "$gt": ""}
