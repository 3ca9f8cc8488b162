"""Every read and change of requests with an Idempotency-Key, as data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from crm.database.query import Filter, Query, Update


def by_id(record_id: str) -> Query:
    """The request of a key."""
    return Query({"_id": record_id}, limit=1)


def held(record_id: str, lease: str, state: str) -> Filter:
    """A request that nobody has begun, answered or freed since it was seen in this state with this lease."""
    return {"_id": record_id, "lease": lease, "state": state}


def of_customer(customer_id: str) -> Filter:
    """The answers that speak of a customer."""
    return {"customer_id": customer_id}


def answers_for(customer_id: str) -> Query:
    """The same, to read."""
    return Query(of_customer(customer_id))


def of_resource(customer_id: str, location: str) -> Filter:
    """The answers to who created a customer's interaction; by the customer's index, who has few."""
    return {"customer_id": customer_id, "location": location}


def behind(after: str, limit: int) -> Query:
    """The requests whose ids come next: only whom their answers speak of."""
    return Query({"_id": {"$gt": after}}, (("_id", 1),), limit, ("customer_id",))


def begun(fingerprint: str, lease: str, until: datetime, now: datetime) -> Update:
    """A run begins; whoever held the lease before cannot write any more."""
    return {
        "$set": {
            "fingerprint": fingerprint,
            "state": "running",
            "lease": lease,
            "leased_until": until,
            "recorded_at": now,
        }
    }


def answered(answer: Mapping[str, Any], now: datetime) -> Update:
    """Keep the answer."""
    given = {name: value for name, value in answer.items() if value is not None}
    return {"$set": {**given, "state": "answered", "recorded_at": now}}


def freed() -> Update:
    """The request was refused; the key may be used for another content."""
    return {"$set": {"state": "free"}}


def given_up(now: datetime) -> Update:
    """Whether something was created is not known here; the same request may run again at once."""
    return {"$set": {"leased_until": now}}
