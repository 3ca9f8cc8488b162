"""How indexes are used and which operations were noted, as MongoDB's own statistics and profiler have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo.errors import OperationFailure

from crm.database.driver import Database
from crm.database.failures import driver_errors

_UNAUTHORIZED: Final = 13
#: More than the 1 MB that MongoDB keeps by default holds.
_MOST_NOTED: Final = 5_000


@dataclass(frozen=True, slots=True)
class IndexUsage:
    """Of one index, by the server that takes writes.

    Attributes:
        name: Which.
        used: How often, by reads and by the search for what a write changes.
        since: When the count began: at the server's start, or when the index was built.
    """

    name: str
    used: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Noted:
    """One operation that the profiler noted.

    Attributes:
        collection: On which.
        op: ``query``, ``update``, ``remove``, ``command``, ``getmore``.
        command: As it was sent, values and all: only its shape may be told.
        plan: How MongoDB went about it, such as ``COLLSCAN`` or ``IXSCAN { _id: 1 }``.
        ms: How long it took.
        examined: Documents.
        returned: Documents; of a write, how many it changed.
    """

    collection: str
    op: str
    command: Mapping[str, Any]
    plan: str
    ms: int
    examined: int
    returned: int


async def index_usage(database: Database, collection: str) -> list[IndexUsage]:
    """How often each index of a collection was used. Needs ``indexStats``."""
    with driver_errors():
        found = database.administration[database.name][collection].aggregate([{"$indexStats": {}}])
        return [
            IndexUsage(one["name"], int(one["accesses"]["ops"]), one["accesses"]["since"])
            for one in await found.to_list(length=None)
        ]


async def noted(database: Database) -> list[Noted] | None:
    """What the profiler has noted and still has, the latest first; None where whoever asks may not know."""
    profile = database.administration[database.name]["system.profile"]
    with driver_errors():
        try:
            found = await profile.find({}).sort("$natural", -1).limit(_MOST_NOTED).to_list(length=None)
        except OperationFailure as exc:
            if exc.code != _UNAUTHORIZED:
                raise
            return None
    return [_noted(row) for row in found if not row["ns"].partition(".")[2].startswith("system.")]


def _noted(row: Mapping[str, Any]) -> Noted:
    command = row.get("originatingCommand") if row["op"] == "getmore" else row.get("command")
    return Noted(
        collection=row["ns"].partition(".")[2],
        op=row["op"],
        command=command or {},
        plan=row.get("planSummary", ""),
        ms=int(row.get("millis", 0)),
        examined=int(row.get("docsExamined", 0)),
        returned=int(row.get("nreturned", row.get("nModified", row.get("nMatched", row.get("ndeleted", 0))))),
    )
