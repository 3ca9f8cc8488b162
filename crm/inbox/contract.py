"""What the database enforces for deliveries."""

from __future__ import annotations

from typing import Any, Final

from crm.database.contract import CollectionContract, Rule
from crm.identity import Role
from crm.inbox.documents import Delivery


def _present(field: str) -> dict[str, Any]:
    return {"$gt": [f"${field}", None]}


def _exactly_when(field: str, states: list[str]) -> dict[str, Any]:
    return {"$eq": [_present(field), {"$in": ["$state", states]}]}


SETTLED_OR_DUE: Final = Rule(
    "due_at is there until a delivery is settled, outcome and expires_at when it is done, reason when it is dead",
    {
        "$and": [
            _exactly_when("due_at", ["waiting", "working"]),
            _exactly_when("outcome", ["done"]),
            _exactly_when("expires_at", ["done"]),
            _exactly_when("reason", ["dead"]),
        ]
    },
)

#: A webhook runs as ``auth``: it puts the delivery down and reads nothing back.
CONTRACT: Final = CollectionContract(
    document=Delivery,
    rules=(SETTLED_OR_DUE,),
    grants={Role.ADMIN: "find insert update remove", Role.AUTH: "insert", Role.INGEST: "find update"},
)
