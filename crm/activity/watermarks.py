"""How far each process has told what it received, and telling what a process that is gone did not get to.

Marking every batch before it is stored, as totals do, would cost each a journaled write more. Instead each process says
once a second up to when all that it received is told. What came after the last word of one that is gone is found by the
time at which it was received.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from crm.activity import queries
from crm.activity.documents import Watermark
from crm.clock import now
from crm.database.ids import new_id

#: One that has not been heard of for so long is gone, or will tell its own all the same: telling twice does no harm.
SILENT_AFTER: Final = timedelta(seconds=10)
#: A word each second: one that has not come by then is late.
_LATE: Final = timedelta(seconds=3)
_CLAIM: Final = timedelta(seconds=60)
_MOST_PROCESSES: Final = 1_000

TellReceived = Callable[[datetime, datetime], Awaitable[None]]


class Watermarks:
    """One process's, and its eye on the others.

    Args:
        timeout_ms: Longest time of one database operation.
        tell_received: Tells the activity of all of whom anything was received in a span of time.
    """

    def __init__(self, timeout_ms: int, tell_received: TellReceived) -> None:
        self._id = new_id("act")
        self._tell_received = tell_received
        # Between the time that an event bears and the word that it is stored lie three operations, each with its limit.
        self.late = timedelta(milliseconds=3 * timeout_ms + 5_000)

    async def beat(self, clean_up_to: datetime) -> None:
        """All that this process received before is told. If a crash loses the word, the one before it holds."""
        update = queries.beaten(clean_up_to, now())
        await Watermark.stored().unjournaled().update_one(queries.of_process(self._id), update, upsert=True)

    async def end(self) -> None:
        """All that this process received is told, and nothing will come any more."""
        await Watermark.stored().unjournaled().delete_one(queries.of_process(self._id))

    async def take_over(self) -> None:
        """Tell what processes that are gone left behind."""
        while True:
            moment = now()
            row = await Watermark.stored().find_and_update(
                queries.silent(moment - SILENT_AFTER, moment), queries.claimed(moment + _CLAIM)
            )
            if row is None:
                return
            await self._tell_left(row["clean_up_to"], row["beat_at"])
            await Watermark.stored().delete_one(queries.still_silent(row["_id"], row["beat_at"]))

    async def catch_up(self) -> None:
        """Tell at once what processes that may be gone left behind; those that are at work tell their own."""
        for row in await Watermark.stored().find(queries.unheard_since(now() - _LATE, _MOST_PROCESSES)):
            await self._tell_left(row["clean_up_to"], row["beat_at"])

    async def _tell_left(self, clean_up_to: datetime, beat_at: datetime) -> None:
        await self._tell_received(clean_up_to - self.late, min(beat_at + self.late, now()))


async def told_up_to() -> datetime | None:
    """Of everything that any process received before, activity is told; None where none has said so."""
    everybody = queries.unheard_since(now() + _LATE, _MOST_PROCESSES)
    return min((row["clean_up_to"] for row in await Watermark.stored().find(everybody)), default=None)
