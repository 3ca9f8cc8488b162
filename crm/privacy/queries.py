"""Every read and change of privacy requests, as data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from crm.database.paging import Listing, Listings
from crm.database.query import Filter, Query, Update

LISTINGS: Final = Listings(
    allowed=(
        Listing(frozenset(), ("due_at",), ascending=True),
        Listing(frozenset({"state"}), ("due_at",), ascending=True),
    )
)


def everything() -> Filter:
    """All privacy requests."""
    return {}


def in_state(state: str) -> Filter:
    """Privacy requests in a state."""
    return {"state": state}


def by_id(request_id: str) -> Query:
    """One privacy request."""
    return Query({"_id": request_id}, limit=1)


def behind(after: str, limit: int) -> Query:
    """The requests whose ids come next."""
    return Query({"_id": {"$gt": after}}, (("_id", 1),), limit)


def waiting(now: datetime) -> Filter:
    """Requests that nobody is at."""
    free = [{"claimed_until": {"$exists": False}}, {"claimed_until": {"$lt": now}}]
    return {"state": "queued", "$or": free}


def claimed(until: datetime) -> Update:
    """Ours until then; whoever finds it later takes it over."""
    return {"$set": {"claimed_until": until}}


def ready(customer_ids: Sequence[str]) -> Update:
    """It is known whom it means; an admin may fetch what is stored."""
    return {"$set": {"state": "ready", "customer_ids": list(customer_ids)}, "$unset": {"claimed_until": ""}}


def done(outcome: str, now: datetime) -> Update:
    """It is carried out."""
    return {"$set": {"state": "done", "outcome": outcome, "done_at": now}, "$unset": {"claimed_until": ""}}


def erased(now: datetime) -> Update:
    """It is carried out, and says nothing any more of whom it meant."""
    names = ("email", "phone", "external_customer_id", "customer_ids", "claimed_until")
    return {
        "$set": {"state": "done", "outcome": "erased", "done_at": now, "orders": []},
        "$unset": dict.fromkeys(names, ""),
    }
