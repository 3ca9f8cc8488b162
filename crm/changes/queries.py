"""Every read and change of the lock and of what is noted of changes, as data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from crm.database.query import Filter, Query, Update, UpdatePipeline
from crm.fields import EARLIEST

LOCK: Final = "apply"


def the_lock() -> Filter:
    """The lock, whoever holds it."""
    return {"_id": LOCK}


def held_by(lease: str) -> Filter:
    """The lock, as long as this run holds it."""
    return {"_id": LOCK, "lease": lease}


def taken(lease: str, holder: str, milliseconds: int) -> UpdatePipeline:
    """Take the lock if its lease has ended, by the server's clock; else change nothing."""
    ended = {"$lte": [{"$ifNull": ["$leased_until", EARLIEST]}, "$$NOW"]}
    ours: dict[str, Any] = {
        "lease": {"$literal": lease},
        "holder": {"$literal": holder},
        "taken_at": "$$NOW",
        "leased_until": {"$add": ["$$NOW", milliseconds]},
    }
    return [{"$replaceWith": {"$cond": [ended, {"$mergeObjects": ["$$ROOT", ours]}, "$$ROOT"]}}]


def renewed(milliseconds: int) -> UpdatePipeline:
    """Hold it for so long from now on."""
    return [{"$set": {"leased_until": {"$add": ["$$NOW", milliseconds]}}}]


def released() -> UpdatePipeline:
    """Let others have it."""
    return [{"$set": {"leased_until": "$$NOW"}}]


def beside(since: datetime | None) -> Update:
    """Two versions run beside each other since then; no longer with None."""
    return {"$unset": {"both_since": True}} if since is None else {"$set": {"both_since": since}}


def everything() -> Query:
    """All changes that were begun, in the order of their numbers."""
    return Query({}, (("_id", 1),))


def change(change_id: str) -> Filter:
    """One change."""
    return {"_id": change_id}


def change_of(change_id: str, lease: str) -> Filter:
    """One change, as long as this run may carry it out."""
    return {"_id": change_id, "lease": lease}


def noted(fields: Mapping[str, Any]) -> Update:
    """Note some fields; those that are None are absent from then on."""
    gone = {name: True for name, value in fields.items() if value is None}
    there = {name: value for name, value in fields.items() if value is not None}
    return {"$set": there, **({"$unset": gone} if gone else {})}
