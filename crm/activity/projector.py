"""Keeps activity up to date in the background: hears of whom something was received, and tells it soon after."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

from crm.activity import projection
from crm.activity.heard import MOST_HEARD, Heard
from crm.activity.watermarks import Watermarks
from crm.background import Background
from crm.clock import now
from crm.database.driver import Database, acting_as
from crm.errors import CrmError
from crm.events import service as events
from crm.identity import Role

_KEPT_AS: Final = "activity.projector"


class Projector:
    """One for each process.

    Args:
        database: Where events and activity are.
        most_heard: Identities that are remembered one by one.
    """

    def __init__(self, database: Database, *, most_heard: int = MOST_HEARD) -> None:
        self._database = database
        self._heard = Heard(most_heard)
        self._watermarks = Watermarks(database.timeout_ms, projection.tell_received)
        self._background = Background(self._tell, self._beat, self._take_over, late="activities", logger="crm.activity")

    def hear(self, identity_ids: Collection[str], received_at: datetime) -> None:
        """Something was received of some identities, or of customers by their own ids. Nobody waits for the rest."""
        self._heard.add(identity_ids, received_at)
        self._background.wake()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Work within the block; at its end what was heard of is told, or left for another process to tell."""
        with acting_as(self._database, Role.INGEST):
            await self._watermarks.beat(now())  # else a crash before the first sweep would leave no trace
        async with self._background.at_work():
            yield
        if self._heard.take() is None:
            with suppress(CrmError), acting_as(self._database, Role.INGEST):
                await self._watermarks.end()

    async def _tell(self) -> None:
        with acting_as(self._database, Role.INGEST):
            while (due := self._heard.take()) is not None:
                if due.identity_ids is None:
                    await projection.tell_received(due.since - self._watermarks.late, now() + timedelta(milliseconds=1))
                else:
                    await projection.tell(due.identity_ids)
                self._heard.settled()

    async def _beat(self) -> None:
        with acting_as(self._database, Role.INGEST):
            await self._watermarks.beat(self._heard.clean_up_to(now()))

    async def _take_over(self) -> None:
        with acting_as(self._database, Role.INGEST):
            await self._watermarks.take_over()


@asynccontextmanager
async def running(database: Database) -> AsyncIterator[None]:
    """Keep activity up to date, for all that is received on this database within the block."""
    if _KEPT_AS in database.kept:
        yield  # another application on the same connection does it
        return
    projector = Projector(database)
    listeners = events.heard(database)
    async with projector.at_work():
        database.kept[_KEPT_AS] = projector
        listeners.append(projector.hear)
        try:
            yield
        finally:
            listeners.remove(projector.hear)
            del database.kept[_KEPT_AS]


def of(database: Database) -> Projector | None:
    """The one at work on a database, if there is one."""
    found: Projector | None = database.kept.get(_KEPT_AS)
    return found
