"""Every read and change of custom fields' definitions, as data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from crm.database.documents import set_fields
from crm.database.paging import Listing, Listings
from crm.database.query import Filter, Query, Update

LISTINGS: Final = Listings(allowed=(Listing(frozenset(), ("name",), ascending=True),), stored={"name": "_id"})


def all_by_name() -> Query:
    """All of them."""
    return Query({}, (("_id", 1),))


def everything() -> Filter:
    """All of them, page by page."""
    return {}


def by_name(name: str) -> Query:
    """One of them."""
    return Query({"_id": name}, limit=1)


def at_version(name: str, version: int) -> Filter:
    """One that nobody has changed since."""
    return {"_id": name, "version": version}


def changed(fields: Mapping[str, Any], now: datetime) -> Update:
    """Set the fields, unset those that are None."""
    return set_fields(fields, now=now)


def settled(now: datetime) -> Update:
    """MongoDB enforces it; not an edit, so the version stays."""
    return {"$set": {"state": "active", "updated_at": now}}
