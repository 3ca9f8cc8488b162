"""Brings over what belonged to a customer who was merged, and back when that is undone; safe to be interrupted.

What is there goes at once. A push that had found its customer before the merge may still arrive: orders are found by
the mark that they leave (``orders/projection.py``), everything by a second look once no such write can arrive any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

from crm.activity import service as activity
from crm.background import Background
from crm.clock import now
from crm.customers import service as customers
from crm.database import driver
from crm.database.collection import Row
from crm.database.driver import Database
from crm.duplicates import service as duplicates
from crm.identity import Role
from crm.interactions import service as interactions
from crm.merges import queries
from crm.merges.documents import Merge
from crm.orders import service as orders
from crm.person import Person

_KEPT_AS: Final = "merges.mover"
#: One that dies in between is taken over after this; one that takes longer is helped, which does no harm.
CLAIM: Final = timedelta(seconds=10)
#: How long who asked for a merge waits for the moving; people have few orders.
_PATIENCE: Final = 10.0


def grace() -> timedelta:
    """How long a write that began before a merge may still arrive: three operations, each with its limit."""
    return timedelta(milliseconds=3 * driver.present().database.timeout_ms + 5_000)


async def begin(row: Row) -> None:
    """Move now what is there; what takes too long is left to the background."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await _carry_on(row)


async def finish_undoing(customer_id: str) -> None:
    """Bring home what was moved by merges of a customer that are being undone."""
    for row in await Merge.stored().find(queries.being_undone([customer_id], limit=0)):
        await _carry_on(row)


async def sweep() -> None:
    """Carry on with what other processes left, and with what is to be looked at once more."""
    merges = Merge.stored()
    while True:
        moment = now()
        row = await merges.find_and_update(queries.due(moment), queries.claimed(moment + CLAIM))
        if row is None:
            break
        await _carry_on(row)
    await merges.update_many(queries.past_undoing(now()), queries.documents_forgotten())


@asynccontextmanager
async def running(database: Database) -> AsyncIterator[None]:
    """Carry on in the background with what is to be moved, within the block."""
    if _KEPT_AS in database.kept:
        yield  # another application on the same connection does it
        return

    async def nothing() -> None:
        """All work is found by looking for it."""

    async def look() -> None:
        with driver.acting_as(database, Role.ADMIN):
            await sweep()

    background = Background(nothing, look, late="merges", logger="crm.merges")
    async with background.at_work():
        database.kept[_KEPT_AS] = background
        try:
            yield
        finally:
            del database.kept[_KEPT_AS]


async def _carry_on(row: Row) -> None:
    begun = now()
    survivor, other = row["customer_ids"]
    if row["state"] == "moving":
        await _move(other)
    else:
        await _move_back(row["_id"], survivor, other)
    done = begun >= row["settles_at"]
    update = queries.settled(_AFTER[row["state"]]) if done else queries.put_off(row["settles_at"])
    await Merge.stored().update_one(queries.in_state(row["_id"], row["state"]), update)


_AFTER: Final = {"moving": "moved", "undoing": "undone"}


async def _move(other: str) -> None:
    """To whoever the other is by now: the survivor may have been merged, too, and a merge may have been undone."""
    heir = (await customers.heirs([other])).get(other)
    if heir is None or heir.id == other:
        return
    await orders.move(other, heir.id, heir.by)
    await interactions.move(other, heir.id, heir.by)
    await duplicates.close([other])
    with driver.acting_within(Role.INGEST):
        await activity.forget(Person(customers=frozenset([other])))
        await activity.tell([heir.id])


async def _move_back(merge_id: str, survivor: str, other: str) -> None:
    """Nobody can have merged either of them since: that is refused while a merge is being undone."""
    await orders.move_back(survivor, other, merge_id)
    await interactions.move_back(survivor, other, merge_id)
    with driver.acting_within(Role.INGEST):
        await activity.tell([survivor, other])
