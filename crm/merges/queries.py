"""Every read and change of merges, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from crm.database.paging import Listing, Listings
from crm.database.query import Filter, Query, Update

LISTINGS: Final = Listings(
    allowed=(Listing(frozenset(), ("at",)), Listing(frozenset({"customer_id"}), ("at",))),
)
_BEFORE: Final = ("survivor_before", "other_before", "merged")


def by_id(merge_id: str) -> Query:
    """One merge."""
    return Query({"_id": merge_id}, limit=1)


def everything() -> Filter:
    """All merges."""
    return {}


def of_customer(customer_id: str) -> Filter:
    """The merges in which a customer became one with another."""
    return {"customer_ids": customer_id}


def of_customers(customer_ids: Sequence[str]) -> Filter:
    """All merges of some customers."""
    return {"customer_ids": {"$in": list(customer_ids)}}


def behind(after: str, limit: int) -> Query:
    """Whose merges come next."""
    return Query({"_id": {"$gt": after}}, (("_id", 1),), limit, ("customer_ids",))


def being_undone(customer_ids: Sequence[str], limit: int = 1) -> Query:
    """Merges of one of these customers that are being undone; 0 is all."""
    return Query({"customer_ids": {"$in": list(customer_ids)}, "state": "undoing"}, limit=limit)


def documents_changed(documents: Mapping[str, bytes]) -> Update:
    """The customers of before, without what was said of somebody who was erased."""
    return {"$set": dict(documents)}


def in_state(merge_id: str, state: str) -> Filter:
    """A merge that is in this state still."""
    return {"_id": merge_id, "state": state}


def undone(by: str, kept: Sequence[str], withheld: Sequence[str], now: datetime, settles_at: datetime) -> Update:
    """Two customers again; what was moved is due to go back. Their documents of before are forgotten."""
    fields = {"state": "undoing", "undone_at": now, "undone_by": by, "kept": list(kept), "withheld": list(withheld)}
    return {
        "$set": {**fields, "settles_at": settles_at, "due_at": now},
        "$unset": dict.fromkeys((*_BEFORE, "undo_until", "claimed_until"), ""),
    }


def due(now: datetime) -> Filter:
    """Merges of which something has to be moved, and that no process is at."""
    return {"due_at": {"$lte": now}, "$or": [{"claimed_until": {"$exists": False}}, {"claimed_until": {"$lt": now}}]}


def claimed(until: datetime) -> Update:
    """Tell the other processes that this one is at it."""
    return {"$set": {"claimed_until": until}}


def put_off(until: datetime) -> Update:
    """All that was there is moved; what was on its way then is looked for at the end."""
    return {"$set": {"due_at": until}, "$unset": {"claimed_until": ""}}


def settled(state: str) -> Update:
    """Everything is moved."""
    return {"$set": {"state": state}, "$unset": {"due_at": "", "claimed_until": ""}}


def past_undoing(now: datetime) -> Filter:
    """Merges that can be undone no longer."""
    return {"undo_until": {"$lt": now}}


def documents_forgotten() -> Update:
    """What the customers were before is kept no longer than it is needed."""
    return {"$unset": dict.fromkeys((*_BEFORE, "undo_until"), "")}
