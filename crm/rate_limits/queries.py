"""Every change of limits, as data."""

from __future__ import annotations

from crm.database.query import Filter, UpdatePipeline


def limit(limit_id: str) -> Filter:
    """One limit."""
    return {"_id": limit_id}


def taken(milliseconds: float, burst_milliseconds: int) -> UpdatePipeline:
    """Take so much time, unless more than a burst has been taken in advance; by the server's clock alone.

    Args:
        milliseconds: In which as much is earned as is taken.
        burst_milliseconds: How far in advance it may have been taken already.
    """
    return [
        {"$set": {"asked_at": "$$NOW", "spent_until": {"$max": ["$spent_until", "$$NOW"]}}},
        {"$set": {"granted": {"$lt": [{"$subtract": ["$spent_until", "$asked_at"]}, burst_milliseconds]}}},
        {"$set": {"spent_until": {"$cond": ["$granted", {"$add": ["$spent_until", milliseconds]}, "$spent_until"]}}},
    ]
