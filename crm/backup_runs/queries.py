"""Every filter and change of runs, as data."""

from __future__ import annotations

from typing import Any, Final

from crm.database.query import Filter, Query, Update

KINDS: Final = ("backup", "restore", "slice")


def of_kind(kind: str) -> Filter:
    """The last run of a kind."""
    return {"_id": kind}


def of_each_kind() -> Query:
    """The last run of each."""
    return Query({"_id": {"$in": list(KINDS)}}, limit=len(KINDS))


def replaced_by(run: dict[str, Any]) -> Update:
    """This run in place of the one before."""
    return {"$set": {name: value for name, value in run.items() if name != "_id"}}
