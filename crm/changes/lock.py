"""One lock for all that changes the database, held by a lease: a run that was killed keeps nobody out for long.

The lease is renewed while its run lives, by the server's clock alone: the clocks of two hosts need not agree. A run
that could not renew it in time (its host was asleep, the database away) stops before its next step, because another
may have begun.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final

from crm.changes import queries
from crm.changes.documents import SchemaLock
from crm.database.collection import Row
from crm.database.ids import new_id
from crm.errors import AlreadyExists, ApplyInProgress, CrmError, LeaseLost

#: After kill -9, the next one waits for so long at most.
LEASE_SECONDS: Final = 30.0
_BETWEEN_LOOKS: Final = 1.0


class Held:
    """The lock while this run has it.

    Attributes:
        lease: Names this run: what it writes is bound to it.
        seconds: How long it lasts unless it is renewed.
    """

    def __init__(self, lease: str, seconds: float) -> None:
        self.lease = lease
        self.seconds = seconds
        self._until = 0.0

    def renewed(self, asked_at: float) -> None:
        """The lease was renewed by a request sent at that moment of ``time.monotonic``."""
        self._until = asked_at + self.seconds

    def check(self) -> None:
        """Call it before each step.

        Raises:
            LeaseLost: Another run may have begun.
        """
        if time.monotonic() >= self._until:
            raise LeaseLost(
                "This run could not renew its lock in time, and stops; what it did stays done. Run it again."
            )


@asynccontextmanager
async def only_one(who: str, *, wait: float = 0, seconds: float = LEASE_SECONDS) -> AsyncIterator[Held]:
    """Hold the lock within the block.

    Args:
        who: Works here, and on which host, for whoever has to wait.
        wait: For how many seconds to try.
        seconds: Of the lease, each time.

    Raises:
        ApplyInProgress: Another run holds it; says who, since when, and until when unless it renews it.
    """
    held = Held(new_id("run"), seconds)
    holder = f"{who[:180]}, process {os.getpid()}"
    deadline = time.monotonic() + wait
    while (refused := await _take(held, holder)) is not None:
        if time.monotonic() >= deadline:
            raise _told(refused)
        await asyncio.sleep(min(_BETWEEN_LOOKS, max(deadline - time.monotonic(), 0)))
    renewing = asyncio.create_task(_renew(held))
    try:
        yield held
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        with suppress(CrmError):  # else it ends by itself
            await SchemaLock.stored().update_one(queries.held_by(held.lease), queries.released())


async def _take(held: Held, holder: str) -> Row | None:
    """Take the lock; returns who has it if that is another."""
    asked_at = time.monotonic()
    change = queries.taken(held.lease, holder, int(held.seconds * 1000))
    try:
        row = await SchemaLock.stored().find_and_update(queries.the_lock(), change, upsert=True)
    except AlreadyExists:  # two created it at the same moment
        row = await SchemaLock.stored().find_and_update(queries.the_lock(), change)
    if row is None or row["lease"] != held.lease:
        return row or {}
    held.renewed(asked_at)
    return None


async def _renew(held: Held) -> None:
    while True:
        await asyncio.sleep(held.seconds / 3)
        asked_at = time.monotonic()
        with suppress(CrmError):  # the database is away: tried again, for as long as the lease lasts
            change = queries.renewed(int(held.seconds * 1000))
            if (await SchemaLock.stored().update_one(queries.held_by(held.lease), change)).matched:
                held.renewed(asked_at)


def _told(row: Row) -> ApplyInProgress:
    if not row:
        return ApplyInProgress("Another run has just begun; try again.")
    taken, until = (_shown(row[name]) for name in ("taken_at", "leased_until"))
    return ApplyInProgress(
        f"The database is being changed by {row['holder']}, since {taken}. Wait for it (--wait); "
        f"if it is dead, its lock ends at {until}."
    )


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
