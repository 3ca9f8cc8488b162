"""Every read and change of users, keys and failed sign-ins, as data."""

from __future__ import annotations

from datetime import datetime, timedelta

from crm.database.query import Filter, Query, Update


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


def all_keys() -> Query:
    """Every key, the oldest first (ids sort by time)."""
    return Query({}, (("_id", 1),))


def all_users() -> Query:
    """Every user, the oldest first."""
    return Query({}, (("_id", 1),))


def password_set(password_hash: str, moment: datetime) -> Update:
    """A user has a new password."""
    return {"$set": {"password_hash": password_hash, "updated_at": moment}, "$inc": {"version": 1}}


def disabled(moment: datetime) -> Update:
    """A user may no longer sign in."""
    return {"$set": {"disabled_at": moment, "updated_at": moment}, "$inc": {"version": 1}}


def revoked(moment: datetime) -> Update:
    """A key no longer works."""
    return {"$set": {"revoked_at": moment, "updated_at": moment}, "$inc": {"version": 1}}


def failures_of(ids: list[str]) -> Query:
    """Recent failures of an e-mail and an address."""
    return Query({"_id": {"$in": ids}})


def failure(failure_id: str) -> Filter:
    """The failures of one e-mail or address."""
    return {"_id": failure_id}


def failed_again(moment: datetime, keep: timedelta) -> Update:
    """Count a failure; how long it blocks is set once the count is known."""
    return {"$inc": {"failures": 1}, "$set": {"blocked_until": moment, "expires_at": moment + keep}}


def blocked(until: datetime) -> Update:
    """No try before then."""
    return {"$max": {"blocked_until": until}}
