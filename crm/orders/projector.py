"""The background task that keeps totals up to date: takes what is due, settles it together, and rests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Final

import structlog

from crm.errors import CrmError, Unavailable

log = structlog.get_logger("crm.orders")

#: From the beginning of a turn to that of the next: with its work, lists lag behind by no more than a second. The
#: longer, the more orders of a customer are added up at once.
_BETWEEN_TURNS: Final = 0.75
_LONGEST_REST: Final = 0.5
_BETWEEN_SWEEPS: Final = 1.0
_AFTER_FAILURE: Final = 0.5
_LONGEST_WAIT: Final = 10.0
#: Marks settled at a time, so that their removal is one small command.
_MARKS_TOGETHER: Final = 1_000

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
        self._take_over = take_over
        self._most_behind = most_behind
        self._marks: dict[str, Collection[str]] = {}
        self._behind = 0
        self._wake = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._caught_up.set()

    def due(self, mark: str, customer_ids: Collection[str]) -> None:
        """These customers' orders have been written."""
        self._marks[mark] = customer_ids
        self._behind += len(customer_ids)
        if self._behind >= self._most_behind:
            self._caught_up.clear()
        self._wake.set()

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

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Work in the background within the block; what is due at its end is settled, if the database is there."""
        tasks = [asyncio.create_task(work(), context=Context()) for work in (self._work, self._sweep)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(CrmError):
                await self._settle_some()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            began = time.monotonic()
            try:
                await self._settle_some()
            except Exception as exc:  # noqa: BLE001  a task that ends would leave all totals as they are, unseen
                # Marks stay: in memory for the next turn, in the database for another process.
                log.warning("totals are late", error=type(exc).__name__)
                self._wake.set()
                await asyncio.sleep(_AFTER_FAILURE)
                continue
            took = time.monotonic() - began
            # If it took long, as long a rest: half of the machine is for pushes.
            await asyncio.sleep(max(_BETWEEN_TURNS - took, min(took, _LONGEST_REST)))

    async def _settle_some(self) -> None:
        while self._marks:
            marks = list(self._marks)[:_MARKS_TOGETHER]
            customer_ids = set().union(*(self._marks[mark] for mark in marks))
            await self._settle(marks, sorted(customer_ids))
            for mark in marks:
                self._behind -= len(self._marks.pop(mark))
            if self._behind < self._most_behind:
                self._caught_up.set()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_BETWEEN_SWEEPS)
            try:
                await self._take_over()
            except Exception as exc:  # noqa: BLE001  as above
                log.warning("left-over totals are late", error=type(exc).__name__)
