"""What the database enforces for pairs of customers who may be one."""

from __future__ import annotations

from typing import Final

from crm.database.contract import CollectionContract, Rule
from crm.duplicates.documents import DuplicatePair
from crm.identity import Role

DISMISSED_BY_SOMEBODY: Final = Rule(
    "who dismissed a pair, when, and what it shared then, is there exactly when it is dismissed",
    {
        "$and": [
            {"$eq": [{"$gt": [f"${name}", None]}, {"$eq": ["$state", "dismissed"]}]}
            for name in ("dismissed_reasons", "dismissed_at", "dismissed_by")
        ]
    },
)

CONTRACT: Final = CollectionContract(
    document=DuplicatePair,
    rules=(DISMISSED_BY_SOMEBODY,),
    grants={Role.ADMIN: "find insert update remove", Role.SALES: "find update"},
)
