"""What a person did, and what was said of them: told, and removed; rejected messages that name them, too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from crm.database.collection import Row
from crm.events import queries, reading
from crm.events.documents import Event, EventReject
from crm.identities import service as identities
from crm.ledger.names import of_identity
from crm.ledger.service import Known
from crm.mentions import mentions
from crm.person import Person, Remains, Tell

_TOGETHER: Final = 500
_REJECTS: Final = 200
_IDENTITIES: Final = 100


async def forget(person: Person) -> None:
    """Remove the events, and the rejected messages."""
    ids = sorted(person.identities | person.customers)
    for start in range(0, len(ids), _IDENTITIES):
        for filter_ in (queries.of_identities, queries.about_identities):
            await Event.stored().delete_many(filter_(ids[start : start + _IDENTITIES]))
    async for rows in _rejects():
        gone = [row["_id"] for row in rows if mentions(row["raw"]).of(person, row["source"])]
        if gone:
            await EventReject.stored().delete_many(queries.rejects_by_ids(gone))


async def disclose(person: Person, tell: Tell) -> None:
    """Tell the events, the latest first, then the messages that say who the person is, and those that were rejected."""
    ids = sorted(person.identities | person.customers)
    for start in range(0, len(ids), _IDENTITIES):
        some, position = ids[start : start + _IDENTITIES], None
        while rows := await reading.latest_of(some, _TOGETHER, position):
            await tell("events", rows)
            position = (rows[-1]["occurred_at"], rows[-1]["_id"])
    for start in range(0, len(ids), _IDENTITIES):
        some, at = ids[start : start + _IDENTITIES], None
        while rows := await Event.stored().find(queries.latest_about(some, at, _TOGETHER)):
            await tell("identifying_messages", rows)
            at = (rows[-1]["occurred_at"], rows[-1]["_id"])
    async for rows in _rejects():
        await tell("rejected_messages", [row for row in rows if mentions(row["raw"]).of(person, row["source"])])


async def remains(known: Known, after: str, limit: int) -> Remains:
    """Events of people who were erased, by their identities."""
    rows = await Event.stored().find(queries.identities_behind(after, limit))
    ids = {row["identity_id"] for row in rows}
    # Of one that fills more than one look, the rest need not be looked at.
    found = Remains(count=len(rows), last=rows[-1]["identity_id"] if len(rows) == limit else None)
    gone = frozenset(key for key in ids if known.when(of_identity(key)))
    found.people = [Person(identities=gone)] if gone else []
    return found


async def rejects_that_remain(known: Known, after: str, limit: int) -> Remains:
    """Look for rejected messages of people who were erased after they were received, and remove them at once."""
    rows = await EventReject.stored().find(queries.raw_behind(after, min(limit, _REJECTS)))
    gone = [row["_id"] for row in rows if known.covers(whom(row["raw"], row["source"]), row["received_at"]) is not None]
    if gone:
        await EventReject.stored().delete_many(queries.rejects_by_ids(gone))
    return Remains(count=len(rows), last=rows[-1]["_id"] if len(rows) == min(limit, _REJECTS) else None)


def whom(raw: str, source: str) -> Person:
    """Whom a message names, by their names and as identities."""
    named = mentions(raw).person(source)
    return named.with_all(identities.of_names(named))


async def _rejects() -> AsyncIterator[list[Row]]:
    after = ""
    while rows := await EventReject.stored().find(queries.raw_behind(after, _REJECTS)):
        yield rows
        after = rows[-1]["_id"]
