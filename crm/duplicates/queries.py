"""Every read and change of pairs of customers who may be one, as data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from crm.database.paging import Listing, Listings
from crm.database.query import Filter, Query, Update, UpdatePipeline

LISTINGS: Final = Listings(
    allowed=(Listing(frozenset({"state"}), ("score",)), Listing(frozenset({"customer_id"}), ("score",))),
)


def by_id(pair_id: str) -> Query:
    """One pair."""
    return Query({"_id": pair_id}, limit=1)


def in_state(state: str) -> Filter:
    """Pairs in a state."""
    return {"state": state}


def of_customer(customer_id: str) -> Filter:
    """A customer's pairs."""
    return {"customer_ids": customer_id}


def of_customers(customer_ids: Sequence[str]) -> Filter:
    """All pairs of some customers."""
    return {"customer_ids": {"$in": list(customer_ids)}}


def open_of(customer_ids: Sequence[str]) -> Filter:
    """The pairs of some customers that nobody has decided on."""
    return {"customer_ids": {"$in": list(customer_ids)}, "state": "open"}


def not_seen_since(before: datetime) -> Filter:
    """Open pairs that no scan has found since."""
    return {"state": "open", "seen_at": {"$lt": before}}


def found(customer_ids: Sequence[str], reasons: Sequence[str], score: int, now: datetime) -> UpdatePipeline:
    """A scan has found a pair. One that was dismissed stays so, unless there are new reasons."""
    same = {"$setIsSubset": [_literal(reasons), {"$ifNull": ["$dismissed_reasons", []]}]}
    dismissed = {"$and": [{"$eq": ["$state", "dismissed"]}, same]}
    kept: dict[str, Any] = {
        name: {"$cond": [dismissed, f"${name}", "$$REMOVE"]}
        for name in ("dismissed_reasons", "dismissed_at", "dismissed_by")
    }
    fields = {"customer_ids": _literal(customer_ids), "reasons": _literal(reasons), "score": score, "seen_at": now}
    state = {"$cond": [dismissed, "dismissed", "open"]}
    return [{"$set": {**fields, **kept, "state": state, "found_at": {"$ifNull": ["$found_at", now]}}}]


def dismissed(reasons: Sequence[str], by: str, now: datetime) -> Update:
    """Somebody has said that they are two."""
    fields = {"dismissed_reasons": list(reasons), "dismissed_at": now, "dismissed_by": by}
    return {"$set": {"state": "dismissed", **fields}}


def _literal(values: Sequence[str]) -> dict[str, Any]:
    return {"$literal": list(values)}
