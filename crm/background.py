"""Work in the background of a process: done when there is some, with a rest in between, and again after a failure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Final

import structlog
from prometheus_client import Counter

from crm.errors import CrmError

#: Whoever reads what this makes sees it within a second: rest, work and the wait for a turn.
_SHORTEST_REST: Final = 0.25
_LONGEST_REST: Final = 0.5
_BETWEEN_SWEEPS: Final = 1.0
_AFTER_FAILURE: Final = 0.5
_LONGEST_END: Final = 10.0
_FAILURES: Final = Counter(
    "crm_background_failures_total", "Work in the background that failed and is tried again", ("late",)
)

Work = Callable[[], Awaitable[None]]


def as_long(took: float) -> float:
    """As long a rest as the work took: half of the machine is for requests."""
    return min(max(took, _SHORTEST_REST), _LONGEST_REST)


class Background:
    """One task works whenever it was woken; others are done once a second.

    Args:
        work: Does all there is to do.
        sweeps: What nobody wakes it for; each in a task of its own, so that none waits for another.
        late: What a failure makes late, for the log: "totals".
        logger: Whose log.
        rest: How many seconds to rest after work that took so many.
    """

    def __init__(
        self, work: Work, *sweeps: Work, late: str, logger: str, rest: Callable[[float], float] = as_long
    ) -> None:
        self._do = work
        self._sweeps = sweeps
        self._late = late
        self._rest = rest
        self._log = structlog.get_logger(logger)
        self._failures = _FAILURES.labels(late)
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Work within the block; at its end what is left is done, if the database is there and it is not much."""
        endless = [self._work(), *(self._sweep(sweep) for sweep in self._sweeps)]
        tasks = [asyncio.create_task(task, context=Context()) for task in endless]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(CrmError, TimeoutError):
                async with asyncio.timeout(_LONGEST_END):
                    await self._do()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            began = time.monotonic()
            if not await self._done(self._do):
                self._wake.set()
                await asyncio.sleep(_AFTER_FAILURE)
                continue
            await asyncio.sleep(self._rest(time.monotonic() - began))

    async def _sweep(self, sweep: Work) -> None:
        while True:
            await self._done(sweep)
            await asyncio.sleep(_BETWEEN_SWEEPS)

    async def _done(self, work: Work) -> bool:
        try:
            await work()
        except Exception as exc:  # noqa: BLE001  a task that ends would leave everything as it is, unseen
            self._failures.inc()
            self._log.warning(f"{self._late} are late", error=type(exc).__name__)
            return False
        return True
