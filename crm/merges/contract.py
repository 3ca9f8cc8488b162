"""What the database enforces for merges."""

from __future__ import annotations

from typing import Any, Final

from crm.database.contract import CollectionContract, Rule
from crm.identity import Role
from crm.merges.documents import Merge


def _there(field: str) -> dict[str, Any]:
    return {"$gt": [f"${field}", None]}


CAN_BE_UNDONE_OR_IS_FORGOTTEN: Final = Rule(
    "the customers before a merge are kept exactly as long as it can be undone",
    {"$and": [{"$eq": [_there(name), _there("undo_until")]} for name in ("survivor_before", "other_before", "merged")]},
)
DUE_UNTIL_SETTLED: Final = Rule(
    "a merge is due while something is being moved",
    {"$eq": [_there("due_at"), {"$in": ["$state", ["moving", "undoing"]]}]},
)
UNDONE_BY_SOMEBODY: Final = Rule(
    "who undid a merge, and when, is there once it is undone",
    {
        "$and": [
            {"$eq": [_there(name), {"$in": ["$state", ["undoing", "undone"]]}]} for name in ("undone_at", "undone_by")
        ]
    },
)

#: A merge removes a customer, which nobody but ``admin`` may: the service carries it out as ``admin``, whoever asks.
CONTRACT: Final = CollectionContract(
    document=Merge,
    rules=(CAN_BE_UNDONE_OR_IS_FORGOTTEN, DUE_UNTIL_SETTLED, UNDONE_BY_SOMEBODY),
    grants={Role.ADMIN: "find insert update remove"},
)
