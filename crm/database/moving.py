"""Documents that follow a customer who is merged into another, and go back when that is undone.

Each notes which merges moved it, so that undoing one takes back exactly what it moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog

from crm.database.collection import Collection, Write
from crm.database.query import Filter, Query, Update, UpdatePipeline

log = structlog.get_logger("crm.database")
_TOGETHER: Final = 500


def moved(to: str, by: Sequence[str], versioned: Mapping[str, datetime]) -> Update:
    """Belong to another customer.

    Args:
        to: The customer.
        by: The merges that led from the customer of before to this one.
        versioned: ``{"updated_at": now}`` of what people change: its version counts up, so that whoever has read it
            before cannot write over it. Empty for records.
    """
    update: Update = {"$set": {"customer_id": to, **versioned}, "$addToSet": {"moved_by": {"$each": list(by)}}}
    return update | ({"$inc": {"version": 1}} if versioned else {})


def moved_back(to: str, merge_id: str, versioned: Mapping[str, datetime]) -> UpdatePipeline:
    """Belong to the customer of before a merge again."""
    others = {"$filter": {"input": "$moved_by", "as": "by", "cond": {"$ne": ["$$by", merge_id]}}}
    fields: dict[str, Any] = {"customer_id": to, "moved_by": {"$cond": [{"$eq": [others, []]}, "$$REMOVE", others]}}
    if versioned:
        fields |= {**versioned, "version": {"$add": ["$version", 1]}}
    return [{"$set": fields}]


async def in_batches(collection: Collection, which: Filter, update: Update | UpdatePipeline) -> int:
    """Change all that match, so that no single command takes long; returns how many were changed.

    ``update`` must make a document match no more. Interrupted, the call can be made again.
    """
    changed = 0
    while True:
        rows = await collection.find(Query(which, limit=_TOGETHER, projection=("_id",)))
        if not rows:
            return changed
        written = await collection.write_each([Write({**which, "_id": row["_id"]}, update) for row in rows])
        for place, error in written.errors.items():
            # Written around the contract: it stays where it is, and the others do not wait for it.
            log.error("a document cannot be moved", id=rows[place]["_id"], rules=[e.detail for e in error.errors])
        changed += written.modified
        if len(written.errors) == len(rows):
            return changed
