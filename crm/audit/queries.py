"""Every read of the audit log, as data."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from crm.database.paging import Listing, Listings
from crm.database.query import Filter, Query

LISTINGS: Final = Listings(
    allowed=(
        Listing(frozenset(), ("at",)),
        Listing(frozenset({"actor"}), ("at",)),
        Listing(frozenset({"target"}), ("at",)),
        Listing(frozenset({"action"}), ("at",)),
    ),
    ranges={"after": "at", "before": "at"},
)


def last() -> Query:
    """The last entry's hash."""
    return Query(_ours(), (("_id", -1),), 1, ("hash",))


def behind(entry_id: str, limit: int) -> Query:
    """The entries whose ids come next, whatever their ids look like."""
    return Query({"_id": {"$gt": entry_id}}, (("_id", 1),), limit)


def by_id(entry_id: str) -> Query:
    """One entry's hash."""
    return Query({"_id": entry_id}, limit=1, projection=("hash",))


def everything() -> Filter:
    """All entries."""
    return {}


def by_actor(actor_id: str) -> Filter:
    """What one user or key did."""
    return {"actor.id": actor_id}


def about(target: str) -> Filter:
    """What was done to one person's data, or to one thing."""
    return {"targets": target}


def of_action(action: str) -> Filter:
    """All acts of one kind."""
    return {"action": action}


def within(filter_: Filter, after: datetime | None, before: datetime | None) -> Filter:
    """The same entries, made at or after one time and before another."""
    bounds = {"$gte": after, "$lt": before}
    at: dict[str, Any] = {operator: value for operator, value in bounds.items() if value is not None}
    return {**filter_, "at": at} if at else filter_


def _ours() -> Filter:
    """Ids as the log has them: whatever somebody else stored beside them is not the last entry."""
    return {"_id": {"$gte": "aud_0", "$lt": "aud_:"}}
