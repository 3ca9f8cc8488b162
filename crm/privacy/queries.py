"""Every read and change of privacy requests, as data."""

from __future__ import annotations

from typing import Final

from crm.database.paging import Listing, Listings
from crm.database.query import Filter

LISTINGS: Final = Listings(allowed=(Listing(frozenset(), ("due_at",), ascending=True),))


def everything() -> Filter:
    """All privacy requests."""
    return {}
