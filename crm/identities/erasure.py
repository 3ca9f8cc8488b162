"""Which identities were erased: each process holds the set in memory, so that asking costs an event nothing.

It is read once before the first request and then asked every second for what is new, so that for about a second another
process may still store an erased person's events.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from contextvars import Context
from datetime import timedelta
from typing import Final

import structlog

from crm.database import driver
from crm.database.driver import Database
from crm.database.paging import Position
from crm.fields import EARLIEST
from crm.identities import queries
from crm.identities.documents import Identity
from crm.identity import Role
from crm.ledger import service as ledger
from crm.ledger.names import of_identity

log = structlog.get_logger("crm.identities")

_ERASED: Final = "identities.erased"
_EVERY: Final = 1.0
#: The date is the server's, set before the write is visible: for this long, one a little older than the last may come.
_OVERLAP: Final = timedelta(seconds=30)
_TOGETHER: Final = 10_000


@asynccontextmanager
async def watching(database: Database) -> AsyncIterator[None]:
    """Know within the block whom to forget; the set is complete when it begins, if the database is there."""
    if _ERASED in database.kept:
        yield  # another application on the same connection does it
        return
    known = _Known()
    await known.try_refresh(database)
    task = asyncio.create_task(known.keep_up(database), context=Context())
    database.kept[_ERASED] = known
    try:
        yield
    finally:
        del database.kept[_ERASED]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def nobody_erased() -> bool:
    """Whether it is known, without reading, that nobody was erased: then nobody needs to be asked for."""
    known: _Known | None = driver.present().database.kept.get(_ERASED)
    return known is not None and known.complete and not known.ids and await ledger.known() is None


async def erased(ids: Iterable[str]) -> set[str]:
    """Those of some identities that were erased; nothing is read while ``watching``.

    The ledger is asked, too: in a store that was restored, or where nothing was ever stored of an identity, it alone
    knows. That costs 2 µs for each identity of a batch, and nothing while nobody was erased.
    """
    asked = set(ids)
    gone = await ledger.known()
    in_ledger = {key for key in asked if gone.when(of_identity(key))} if gone is not None else set()
    return in_ledger | await _marked(asked)


async def _marked(asked: set[str]) -> set[str]:
    known: _Known | None = driver.present().database.kept.get(_ERASED)
    if known is not None and known.complete:
        return asked & known.ids
    with driver.acting_within(Role.INGEST):
        return {row["_id"] for row in await Identity.stored().find(queries.erased_among(sorted(asked)))}


def remember(ids: Iterable[str]) -> None:
    """They have been erased just now, by this process."""
    known: _Known | None = driver.present().database.kept.get(_ERASED)
    if known is not None:
        known.ids.update(ids)


class _Known:
    """The ids that were erased, as far as this process has read."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.complete = False
        self._last: Position = (EARLIEST, "")
        self._came = time.monotonic()

    async def keep_up(self, database: Database) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await self.try_refresh(database)

    async def try_refresh(self, database: Database) -> None:
        try:
            await self._refresh(database)
        except Exception as exc:  # noqa: BLE001  a task that ends would let erased people come back, unseen
            log.warning("erased people are known late", error=type(exc).__name__)

    async def _refresh(self, database: Database) -> None:
        last, last_id = self._last
        quiet = time.monotonic() - self._came > _OVERLAP.total_seconds()
        position = (last, last_id) if quiet else (max(last - _OVERLAP, EARLIEST), "")
        with driver.acting_as(database, Role.INGEST):
            while rows := await Identity.stored().find(queries.erased_since(position, _TOGETHER)):
                self.ids.update(row["_id"] for row in rows)
                position = (rows[-1]["erased_at"], rows[-1]["_id"])
                if position > self._last:
                    self._last, self._came = position, time.monotonic()
                if len(rows) < _TOGETHER:
                    break
        self.complete = True
