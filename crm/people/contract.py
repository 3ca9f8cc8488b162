"""What the database enforces for erasures."""

from __future__ import annotations

from typing import Final

from crm.database.contract import CollectionContract, Rule
from crm.identity import Role
from crm.people.documents import Erasure

DONE_AND_DATED: Final = Rule(
    "done_at is there exactly when an erasure is done, and then no identities are",
    {
        "$and": [
            {"$eq": [{"$eq": ["$state", "done"]}, {"$gt": ["$done_at", None]}]},
            {"$or": [{"$eq": ["$state", "running"]}, {"$not": [{"$isArray": "$identities"}]}]},
        ]
    },
)

#: Nobody removes one: that somebody was erased can be shown for ever.
CONTRACT: Final = CollectionContract(
    document=Erasure, rules=(DONE_AND_DATED,), grants={Role.ADMIN: "find insert update"}
)
