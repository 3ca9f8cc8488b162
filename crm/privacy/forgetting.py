"""Requests that name a person: told, and emptied of the names. That one came, and when it was carried out, stays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from crm.clock import now
from crm.contact import phone_key
from crm.database.collection import Row
from crm.ledger.service import Known
from crm.person import Person, Remains, Tell
from crm.privacy import queries
from crm.privacy.documents import PrivacyRequest
from crm.privacy.schemas import PrivacyRequestOut

_TOGETHER: Final = 500


def whom(asked: PrivacyRequestOut) -> Person:
    """Whom a request means, by the names that it gives."""
    return _named(asked.model_dump())


async def forget(person: Person) -> None:
    """Empty them of names; one that waits needs not be carried out any more.

    One that is being carried out is left to whoever is at it: until all is done, it must be found again.
    """
    moment = now()
    async for row in _each():
        if row["state"] == "queued" and row.get("claimed_until", moment) > moment:
            continue
        named = _named(row)
        strong = named.emails & person.emails or named.users & person.users or named.pushed & person.pushed
        if strong or (not named.emails and not named.users and named.phones & person.phones):
            await PrivacyRequest.stored().update_one(queries.by_id(row["_id"]).filter, queries.erased(now()))


async def disclose(person: Person, tell: Tell) -> None:
    """Tell them."""
    async for row in _each():
        if (named := _named(row)).emails & person.emails or named.users & person.users:
            await tell("privacy_requests", [row])


async def remains(known: Known, after: str, limit: int) -> Remains:
    """Requests that name somebody who was erased after they came."""
    rows = await PrivacyRequest.stored().find(queries.behind(after, limit))
    found = Remains(count=len(rows), last=rows[-1]["_id"] if len(rows) == limit else None)
    found.people = [named for row in rows if known.covers(named := _named(row), row["received_at"])]
    return found


async def _each() -> AsyncIterator[Row]:
    after = ""
    while rows := await PrivacyRequest.stored().find(queries.behind(after, _TOGETHER)):
        for row in rows:
            yield row
        after = rows[-1]["_id"]


def _named(row: Mapping[str, Any]) -> Person:
    source = row["source"]
    user, email, phone = (row.get(name) for name in ("external_customer_id", "email", "phone"))
    return Person(
        users=frozenset([(source, user)] if user else ()),
        emails=frozenset([email] if email else ()),
        phones=frozenset([key] if phone and (key := phone_key(phone)) else ()),
        pushed=frozenset((source, order) for order in row.get("orders") or ()),
    )
