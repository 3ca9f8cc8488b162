"""Every read and change of products, as data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from crm.database.documents import set_fields
from crm.database.paging import Listing, Listings
from crm.database.query import Filter, Query, Update

LISTINGS: Final = Listings(
    allowed=(
        Listing(frozenset(), ("sku", "updated_at"), ascending=True),
        Listing(frozenset({"category"}), ("sku",), ascending=True),
    ),
    stored={"sku": "_id"},
)


def by_sku(sku: str) -> Query:
    """One product."""
    return Query({"_id": sku}, limit=1)


def by_skus(skus: list[str]) -> Query:
    """Several products; only their SKUs."""
    return Query({"_id": {"$in": skus}}, projection=("_id",))


def everything() -> Filter:
    """All products."""
    return {}


def category_filter(category: str) -> Filter:
    """Products of a category."""
    return {"category": category}


def at_version(sku: str, version: int) -> Filter:
    """A product that nobody has changed since."""
    return {"_id": sku, "version": version}


def replaced(fields: Mapping[str, Any], now: datetime) -> Update:
    """Set every field of the product, unset those that are None."""
    return set_fields(fields, now=now)
