"""Every read and change of users, keys and failed sign-ins, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from crm.database.documents import set_fields
from crm.database.paging import Listing, Listings
from crm.database.query import Filter, Query, Update

COLLEAGUES: Final = Listings(allowed=(Listing(frozenset(), ("id",), ascending=True),), stored={"id": "_id"})


def user_by_email(email_key: str) -> Query:
    """The user of an e-mail address."""
    return Query({"email_key": email_key}, limit=1)


def user_by_id(user_id: str) -> Query:
    """One user."""
    return Query({"_id": user_id}, limit=1)


def key_by_hash(key_hash: str) -> Query:
    """The API key of a hash."""
    return Query({"key_hash": key_hash}, limit=1)


def key_by_id(key_id: str) -> Query:
    """One API key."""
    return Query({"_id": key_id}, limit=1)


def keys_by_ids(key_ids: Sequence[str]) -> Query:
    """Several API keys."""
    return Query({"_id": {"$in": list(key_ids)}})


def all_keys() -> Query:
    """Every key, the oldest first (ids sort by time)."""
    return Query({}, (("_id", 1),))


def all_users() -> Query:
    """Every user, the oldest first."""
    return Query({}, (("_id", 1),))


def with_customers() -> Filter:
    """Who works with customers at present: admins and salespeople who are not disabled.

    In the order of ids, which is what the first condition is for: of few users most are meant.
    """
    return {"_id": {"$gt": ""}, "role": {"$in": ["admin", "sales"]}, "disabled_at": {"$exists": False}}


def password_set(password_hash: str, moment: datetime) -> Update:
    """A user has a new password."""
    return {
        "$set": {"password_hash": password_hash, "updated_at": moment},
        "$unset": {"disabled_at": ""},
        "$inc": {"version": 1},
    }


def permitted(permissions: Sequence[str], moment: datetime) -> Update:
    """A user has other permissions; what was signed in with those of before ends."""
    return {"$set": {"permissions": list(permissions), "updated_at": moment}, "$inc": {"version": 1}}


def of_role(role: str, permissions: Sequence[str], moment: datetime) -> Update:
    """A user has another role; what was signed in with the one before ends."""
    changed = {"role": role, "permissions": list(permissions), "updated_at": moment}
    return {"$set": changed, "$inc": {"version": 1}}


def disabled(moment: datetime) -> Update:
    """A user may no longer sign in."""
    return {"$set": {"disabled_at": moment, "updated_at": moment}, "$inc": {"version": 1}}


def revoked(moment: datetime) -> Update:
    """A key no longer works."""
    return {"$set": {"revoked_at": moment, "updated_at": moment}, "$inc": {"version": 1}}


def key_changed(fields: Mapping[str, Any], moment: datetime) -> Update:
    """A key has other terms."""
    return set_fields(fields, now=moment)


def failures_of(failure_id: str) -> Query:
    """Recent failures of one e-mail or address."""
    return Query({"_id": failure_id}, limit=1)


def failure(failure_id: str) -> Filter:
    """The failures of one e-mail or address."""
    return {"_id": failure_id}


def tried_again(failure_id: str, failures: int, now: Mapping[str, Any]) -> tuple[Filter, Update]:
    """Count one more, unless somebody else has since."""
    fields = {name: value for name, value in now.items() if name != "_id"}
    return {"_id": failure_id, "failures": failures}, {"$set": fields}


def not_failed() -> Update:
    """The try that was counted went well."""
    return {"$inc": {"failures": -1}}
