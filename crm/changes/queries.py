"""Every filter and change of locks, as data."""

from __future__ import annotations

from typing import Any, Final

from crm.database.query import Filter, UpdatePipeline
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
