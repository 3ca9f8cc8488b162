"""Every filter and change of measurements, as data."""

from __future__ import annotations

from typing import Any

from crm.database.query import Filter, Query, Update


def of_day(day: str) -> Filter:
    """The measurement of a day."""
    return {"_id": day}


def since(day: str, limit: int) -> Query:
    """Measurements from a day on, the earliest first."""
    return Query({"_id": {"$gte": day}}, sort=(("_id", 1),), limit=limit)


def before(day: str) -> Filter:
    """Measurements that are older than a day's."""
    return {"_id": {"$lt": day}}


def replaced_by(sample: dict[str, Any]) -> Update:
    """This measurement in place of the one before on that day."""
    return {"$set": {name: value for name, value in sample.items() if name != "_id"}}
