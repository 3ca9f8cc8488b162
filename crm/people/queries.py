"""Every read and change of erasures, as data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from crm.database.paging import Listing, Listings
from crm.database.query import Filter, Query, Update

LISTINGS: Final = Listings(allowed=(Listing(frozenset(), ("requested_at",)),))


def everything() -> Filter:
    """All erasures."""
    return {}


def by_id(erasure_id: str) -> Query:
    """One erasure."""
    return Query({"_id": erasure_id}, limit=1)


def by_ids(erasure_ids: Sequence[str]) -> Query:
    """Which of these there are."""
    return Query({"_id": {"$in": list(erasure_ids)}}, projection=("_id",))


def abandoned(now: datetime) -> Filter:
    """An erasure that runs, and that no process is at."""
    return {"state": "running", "claimed_until": {"$lt": now}}


def claimed(until: datetime) -> Update:
    """Ours until then; whoever finds it later takes it over."""
    return {"$set": {"claimed_until": until}}


def begun(customers: Sequence[str], identities: Sequence[str]) -> Update:
    """It is known who is to be forgotten."""
    return {"$set": {"customers": list(customers), "identities": list(identities)}}


def done(now: datetime) -> Update:
    """Nothing is left of them."""
    return {
        "$set": {"state": "done", "done_at": now},
        "$unset": {"customers": "", "identities": "", "claimed_until": ""},
    }
