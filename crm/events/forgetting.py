"""What a person did, and what was said of them: told, and removed; rejected messages that name them, too."""

from __future__ import annotations

from typing import Final

from crm.events import queries, reading
from crm.events.documents import Event, EventReject
from crm.ledger.names import of_identity
from crm.ledger.service import Known
from crm.person import Person, Remains, Tell

_TOGETHER: Final = 500
_IDENTITIES: Final = 100


async def forget(person: Person) -> None:
    """Remove the events, and the rejected messages."""
    ids = sorted(person.identities | person.customers)
    for start in range(0, len(ids), _IDENTITIES):
        for filter_ in (queries.of_identities, queries.about_identities):
            await Event.stored().delete_many(filter_(ids[start : start + _IDENTITIES]))
        await EventReject.stored().delete_many(queries.rejects_naming(ids[start : start + _IDENTITIES]))


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
    for start in range(0, len(ids), _IDENTITIES):
        await tell(
            "rejected_messages", await EventReject.stored().find(queries.rejects_of(ids[start : start + _IDENTITIES]))
        )


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
    """Rejected messages that name people who were erased, by their identities."""
    rows = await EventReject.stored().find(queries.rejects_behind_id(after, limit))
    found = Remains(count=len(rows), last=rows[-1]["_id"] if len(rows) == limit else None)
    ids = {key for row in rows for key in row.get("identity_ids", ())}
    gone = frozenset(key for key in ids if known.when(of_identity(key)))
    found.people = [Person(identities=gone)] if gone else []
    return found
