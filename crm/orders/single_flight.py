"""One run at a time for each key, shared by all who asked before it started."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Flight:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    begun: int = 0
    succeeded: int = 0  # number of the latest run that went well
    waiting: int = 0


class SingleFlight:
    """Runs work for a key so that every caller is covered by a run that began after it asked.

    A run that had begun before may have read too early; callers who arrive meanwhile share the one after it. So a hot
    customer costs two recomputations at a time however many orders arrive.
    """

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}

    async def run(self, key: str, work: Callable[[], Awaitable[None]]) -> None:
        """Return once ``work`` has run from beginning to end after this call."""
        flight = self._flights.setdefault(key, _Flight())
        asked_at = flight.begun
        flight.waiting += 1
        try:
            async with flight.lock:
                # The run under way when we asked has a number that we know: only a later one covers us.
                if flight.succeeded > asked_at:
                    return
                flight.begun += 1
                await work()
                # Only when it went well: who waits for a run that failed does it again.
                flight.succeeded = flight.begun
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                self._flights.pop(key, None)
