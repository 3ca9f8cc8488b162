"""Every read and change of activity and of watermarks, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from crm.database.ids import for_storage
from crm.database.paging import Listing, Listings
from crm.database.query import Filter, Query, Update

LISTINGS: Final = Listings(
    allowed=(Listing(frozenset(), ("updated_at",)), Listing(frozenset({"state"}), ("updated_at",))),
    stored={"updated_at": "cart_at"},
)


def of_customers(customer_ids: Sequence[str]) -> Query:
    """What is stored of some customers."""
    return Query({"_id": {"$in": list(customer_ids)}})


def owners_behind(after: str, limit: int) -> Query:
    """The customers, whose ids come next, of whom something is stored."""
    return Query({"_id": {"$gt": after}}, sort=(("_id", 1),), limit=limit, projection=("_id",))


def carts_between(start: datetime, end: datetime) -> Filter:
    """Customers with a cart in which something was last done within a span of time."""
    return {"cart_at": {"$gte": start, "$lt": end}}


def at_revision(customer_id: str, revision: int | None) -> Filter:
    """A customer's activity that nobody has written since; 0 stands for one that is not there yet.

    None stands for one that has none, written by other means.
    """
    return {"_id": customer_id, "revision": revision}


def told(activity: Mapping[str, Any], now: datetime) -> Update:
    """Write what was told from events; what it does not have is removed."""
    update: Update = {"$set": {**for_storage(dict(activity)), "updated_at": now}, "$inc": {"revision": 1}}
    if gone := {name: "" for name in ("cart", "cart_at") if name not in activity}:
        update["$unset"] = gone
    return update


def of_process(process_id: str) -> Filter:
    """A process's watermark."""
    return {"_id": process_id}


def beaten(clean_up_to: datetime, now: datetime) -> Update:
    """A process is alive, and has told the activity of all that it received before a time."""
    return {"$set": {"clean_up_to": clean_up_to, "beat_at": now}}


def silent(before: datetime, now: datetime) -> Filter:
    """A process that has not been heard of for some time, and whose work nobody has taken over."""
    return {
        "beat_at": {"$lt": before},
        "$or": [{"claimed_until": {"$exists": False}}, {"claimed_until": {"$lt": now}}],
    }


def still_silent(process_id: str, beat_at: datetime) -> Filter:
    """A process that has said nothing since."""
    return {"_id": process_id, "beat_at": beat_at}


def claimed(until: datetime) -> Update:
    """Ours until then; whoever finds it later takes it over."""
    return {"$set": {"claimed_until": until}}


def unheard_since(before: datetime, limit: int) -> Query:
    """The watermarks of processes that have said nothing since, whether or not somebody is at what they left."""
    return Query({"beat_at": {"$lt": before}}, sort=(("beat_at", 1),), limit=limit)
