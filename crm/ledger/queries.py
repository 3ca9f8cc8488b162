"""Every read of the ledger, as data."""

from __future__ import annotations

from crm.database.query import Query


def behind(after: str, limit: int) -> Query:
    """The entries whose ids come next."""
    return Query({"_id": {"$gt": after}}, sort=(("_id", 1),), limit=limit)
