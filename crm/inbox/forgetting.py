"""Deliveries that tell of a person: told, and emptied or removed.

They are kept as they came, so they are read one by one: of those that were carried out there is a week's, of dead ones
what nobody has looked at. What still waits is carried out first, since it may be a sale; it leaves the person out, and
is emptied then (``settled``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from crm.connections import service as connections
from crm.database.collection import Row
from crm.inbox import queries
from crm.inbox.documents import Delivery
from crm.inbox.schemas import Work
from crm.ledger import service as ledger
from crm.ledger.service import Known
from crm.mentions import Mentions, mentions
from crm.person import Person, Remains, Tell

#: A body may have 15 MB: few are in memory at a time.
_TOGETHER: Final = 20
_SETTLED: Final = frozenset({"done", "dead"})


async def forget(person: Person) -> None:
    """Empty the deliveries that were carried out, and remove the dead ones."""
    async for row, found, source in _each():
        if found.of(person, source) and row["state"] in _SETTLED:
            await _forget(row["_id"], row.get("resource"))


async def disclose(person: Person, tell: Tell) -> None:
    """Tell the deliveries with their bodies."""
    async for row, found, source in _each():
        if found.of(person, source):
            await tell("deliveries", [row])


async def remains(known: Known, after: str, limit: int) -> Remains:
    """Look for deliveries of people who were erased, and forget those at once."""
    rows = await Delivery.stored().find(queries.bodies_behind(after, min(limit, _TOGETHER)))
    sources = await connections.sources()
    for row in rows:
        if row["state"] in _SETTLED and _old(known, row, sources.get(row["connection_id"], "")):
            await _forget(row["_id"], row.get("resource"))
    return Remains(count=len(rows), last=rows[-1]["_id"] if len(rows) == min(limit, _TOGETHER) else None)


async def names_somebody_erased(work: Work) -> bool:
    """Whether a delivery that has just been looked at tells of somebody who was erased after what it tells happened."""
    known = await ledger.known()
    if known is None:
        return False
    row = {"body": work.body, "resource": work.resource, "source_version": work.version}
    return _old(known, row, work.shop.source)


def _old(known: Known, row: Row, source: str) -> bool:
    """Whether it tells of an erased person's order, or of somebody and something older than their erasure."""
    found = _mentions(row)
    if known.covers(Person(pushed=found.person(source).pushed), None):
        return True
    return known.covers(found.person(source), found.created_at or row.get("source_version")) is not None


async def empty(delivery_id: str, resource: str | None) -> None:
    """Empty a delivery that is done: that it came, and what became of it, stays for its week."""
    kind, _, _ = (resource or "").partition("/")
    await Delivery.stored().update_one(queries.done_one(delivery_id), queries.emptied(of_a_customer=kind == "customer"))


async def _forget(delivery_id: str, resource: str | None) -> None:
    await empty(delivery_id, resource)
    await Delivery.stored().delete_one(queries.dead_one(delivery_id))


async def _each() -> AsyncIterator[tuple[Row, Mentions, str]]:
    sources = await connections.sources()
    after = ""
    while rows := await Delivery.stored().find(queries.bodies_behind(after, _TOGETHER)):
        for row in rows:
            yield row, _mentions(row), sources.get(row["connection_id"], "")
        after = rows[-1]["_id"]


def _mentions(row: Row) -> Mentions:
    found = mentions(bytes(row["body"]))
    kind, _, own_id = str(row.get("resource") or "").partition("/")
    if kind == "order":
        found.orders.add(own_id)
    elif kind == "customer":
        found.users.add(own_id)
    return found
