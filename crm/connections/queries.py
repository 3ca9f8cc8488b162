"""Every read and change of connections and their secrets, as data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from crm.connections.schemas import MOST_SECRETS
from crm.database.documents import set_fields
from crm.database.paging import Listing, Listings
from crm.database.query import Filter, Query, Update

LISTINGS: Final = Listings(
    allowed=(Listing(frozenset(), ("id",), ascending=True),),
    stored={"id": "_id"},
)
#: All that is shown of a secret: the secret itself is not even read.
_SHOWN: Final = ("secrets.id", "secrets.hint", "secrets.created_at")


def by_id(connection_id: str) -> Query:
    """One connection."""
    return Query({"_id": connection_id}, limit=1)


def by_name(name: str) -> Query:
    """The connection of a webhook's URL."""
    return Query({"name": name}, limit=1)


def all_sources() -> Query:
    """Every connection, with its source only."""
    return Query({}, sort=(("_id", 1),), projection=("source",))


def everything() -> Filter:
    """All connections."""
    return {}


def at_version(connection_id: str, version: int) -> Filter:
    """A connection that nobody has changed since."""
    return {"_id": connection_id, "version": version}


def changed(fields: Mapping[str, Any], now: datetime) -> Update:
    """Set the fields, unset those that are None."""
    return set_fields(fields, now=now)


def secrets_of(connection_id: str) -> Query:
    """A connection's secrets, to check a signature with."""
    return Query({"_id": connection_id}, limit=1)


def hints_of(connection_ids: list[str]) -> Query:
    """What may be shown of several connections' secrets."""
    return Query({"_id": {"$in": connection_ids}}, projection=_SHOWN)


def room_for_a_secret(connection_id: str, secret: str) -> Filter:
    """A connection that has fewer secrets than it may, and not this one."""
    return {
        "_id": connection_id,
        f"secrets.{MOST_SECRETS - 1}": {"$exists": False},
        "secrets.secret": {"$ne": secret},
    }


def with_secret(connection_id: str, secret: str) -> Query:
    """A connection that has this secret."""
    return Query({"_id": connection_id, "secrets.secret": secret}, limit=1, projection=_SHOWN)


def secret_added(secret: Mapping[str, Any]) -> Update:
    """One more secret is accepted."""
    return {"$push": {"secrets": dict(secret)}}


def another_secret_than(connection_id: str, secret_id: str) -> Filter:
    """A connection that has this secret and at least one other."""
    return {"_id": connection_id, "secrets.id": secret_id, "secrets.1": {"$exists": True}}


def secret_removed(secret_id: str) -> Update:
    """A secret is no longer accepted."""
    return {"$pull": {"secrets": {"id": secret_id}}}
