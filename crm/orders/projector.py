"""The background task that keeps totals up to date: takes what is due, settles it together, and rests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import Final

from crm.background import Background
from crm.errors import Unavailable
from crm.gauges import LiveGauge

#: From the beginning of a turn to that of the next: with its work, lists lag behind by no more than a second. The
#: longer, the more orders of a customer are added up at once.
_BETWEEN_TURNS: Final = 0.75
_LONGEST_REST: Final = 0.5
_LONGEST_WAIT: Final = 10.0
#: Marks settled at a time, so that their removal is one small command.
_MARKS_TOGETHER: Final = 1_000
_BEHIND: Final = LiveGauge("crm_totals_customers_due", "Customers whose totals this process has to add up again")

Settle = Callable[[list[str], list[str]], Awaitable[None]]


class Projector:
    """Settles what is due.

    Args:
        settle: Brings customers up to date and removes the marks.
        take_over: Settles what processes that are gone left behind.
        most_behind: Customers that may be due before ``room`` waits.
    """

    def __init__(self, settle: Settle, take_over: Callable[[], Awaitable[None]], *, most_behind: int) -> None:
        self._settle = settle
        self._most_behind = most_behind
        self._marks: dict[str, Collection[str]] = {}
        self._behind = 0
        self._caught_up = asyncio.Event()
        self._caught_up.set()
        _BEHIND.ask(self.behind)
        # Where it fails, marks stay: in memory for the next turn, in the database for another process.
        self._background = Background(self._settle_some, take_over, late="totals", logger="crm.orders", rest=_rest)

    def due(self, mark: str, customer_ids: Collection[str]) -> None:
        """These customers' orders have been written."""
        self._marks[mark] = customer_ids
        self._behind += len(customer_ids)
        if self._behind >= self._most_behind:
            self._caught_up.clear()
        self._background.wake()

    def behind(self) -> int:
        """How many customers are due."""
        return self._behind

    async def room(self) -> None:
        """Wait while too much is due.

        Raises:
            Unavailable: For too long.
        """
        try:
            async with asyncio.timeout(_LONGEST_WAIT):
                await self._caught_up.wait()
        except TimeoutError:
            raise Unavailable("Too many totals are due; try again.", retry_after=5) from None

    def at_work(self) -> AbstractAsyncContextManager[None]:
        """Work in the background within the block; what is due at its end is settled, if the database is there."""
        return self._background.at_work()

    async def _settle_some(self) -> None:
        while self._marks:
            marks = list(self._marks)[:_MARKS_TOGETHER]
            customer_ids = set().union(*(self._marks[mark] for mark in marks))
            await self._settle(marks, sorted(customer_ids))
            for mark in marks:
                self._behind -= len(self._marks.pop(mark))
            if self._behind < self._most_behind:
                self._caught_up.set()


def _rest(took: float) -> float:
    """If it took long, as long a rest: half of the machine is for pushes."""
    return max(_BETWEEN_TURNS - took, min(took, _LONGEST_REST))
