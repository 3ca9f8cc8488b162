"""Group commit: concurrent single writes become one batch, and each caller gets its own result or error.

A batch closes at once when the one before it has been written: an idle service adds no delay, a busy one writes as
many together as have come meanwhile. One journaled majority write a request reached 650 a second on two cores,
coalesced ones 2,576 (docs/decisions/0021).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Final, Generic, TypeVar

from crm.errors import CrmError, Unavailable

T = TypeVar("T")
R = TypeVar("R")

LARGEST_BATCH: Final = 500
#: Beyond these the service says so at once, rather than let memory and waiting times grow.
MOST_WAITING: Final = 5_000


class GroupCommit(Generic[T, R]):
    """Collects what callers submit and writes it in batches, one after the other or a few at once.

    Args:
        write: Writes a batch; returns for each item its result, or an error of ours for that item alone. Raises where
            the batch as a whole failed: a batch is then tried item by item, unless the database is away.
        largest: Items of one batch.
        most_waiting: Items that may wait.
        weight: How many an item counts for, where it is itself a list. One that is heavier than a batch goes alone.
        at_once: Batches that may be written at the same time.
    """

    def __init__(
        self,
        write: Callable[[Sequence[T]], Awaitable[Sequence[R | CrmError]]],
        *,
        largest: int = LARGEST_BATCH,
        most_waiting: int = MOST_WAITING,
        weight: Callable[[T], int] = lambda _: 1,
        at_once: int = 1,
    ) -> None:
        self._write = write
        self._largest = largest
        self._most_waiting = most_waiting
        self._weight = weight
        self._weight_waiting = 0
        self._at_once = at_once
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._runners: set[asyncio.Task[None]] = set()

    async def submit(self, item: T) -> R:
        """Return the item's result once its batch is written.

        Who is cancelled meanwhile stops waiting; what was submitted is written all the same.

        Raises:
            Unavailable: Too many wait already, or the database is away.
            CrmError: What ``write`` gave for this item.
        """
        if self._weight_waiting >= self._most_waiting:
            raise Unavailable("Too many requests are waiting for the database; try again.", retry_after=1)
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._weight_waiting += self._weight(item)
        if len(self._runners) < self._at_once:
            self._start()
        return await future

    def _start(self) -> None:
        # In a context of its own: a batch belongs to no single request.
        runner = asyncio.create_task(self._run(), context=Context())
        self._runners.add(runner)
        runner.add_done_callback(self._ended)

    async def _run(self) -> None:
        while self._waiting:
            await self._settle(self._next())

    def _ended(self, runner: asyncio.Task[None]) -> None:
        self._runners.discard(runner)
        # After it was ended from outside, or for who came in this very turn: nobody may wait for a submission that
        # never comes.
        if len(self._runners) < self._at_once and any(not future.done() for _, future in self._waiting):
            self._start()

    def _next(self) -> list[tuple[T, asyncio.Future[R]]]:
        """Those who have waited longest, as many as fit into a batch."""
        batch = [self._waiting.popleft()]
        weight = self._weight(batch[0][0])
        while self._waiting and weight + self._weight(self._waiting[0][0]) <= self._largest:
            batch.append(self._waiting.popleft())
            weight += self._weight(batch[-1][0])
        self._weight_waiting -= weight
        return batch

    async def _settle(self, batch: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        """Write a batch and answer everybody in it, whatever happens."""
        try:
            results: Sequence[R | CrmError] = await self._write([item for item, _ in batch])
            if len(results) != len(batch):
                raise ValueError("A batch was answered with fewer or more results than it has items.")
        except Exception as exc:  # noqa: BLE001  handed to whoever waits
            if len(batch) > 1 and not isinstance(exc, Unavailable):
                for single in batch:
                    await self._settle([single])
                return
            results = [exc if isinstance(exc, CrmError) else _Failed(exc)] * len(batch)
        except BaseException:
            for _, future in batch:
                future.cancel()
            raise
        for (_, future), result in zip(batch, results, strict=True):
            _answer(future, result)


class _Failed(CrmError):
    """Carries an error that is not ours to the caller whose item caused it."""

    def __init__(self, cause: Exception) -> None:
        super().__init__("")
        self.cause = cause


def _answer(future: asyncio.Future[R], result: R | CrmError) -> None:
    if future.done():
        return  # the caller was cancelled
    if isinstance(result, _Failed):
        future.set_exception(result.cause)
    elif isinstance(result, CrmError):
        future.set_exception(result)
    else:
        future.set_result(result)
