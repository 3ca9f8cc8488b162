"""Group commit: concurrent single writes become one batch, and each caller gets its own result or error.

A batch closes at once when the one before it has been written, or when enough have come to begin beside it: an idle
service adds no delay, a busy one writes as many together as have come meanwhile. One journaled majority write a request
reached 650 a second on two cores, coalesced ones 2,576 (docs/decisions/0021).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from typing import Any, Final, Generic, NamedTuple, TypeVar

from prometheus_client import Counter, Histogram

from crm.errors import CrmError, Unavailable
from crm.gauges import LiveGauge
from crm.tracing import Traces

T = TypeVar("T")
R = TypeVar("R")

LARGEST_BATCH: Final = 500
#: As many have to wait for a batch to begin beside another: each costs the same few commands, however small it is.
ENOUGH: Final = 16
#: Beyond these the service says so at once, rather than let memory and waiting times grow.
MOST_WAITING: Final = 5_000

_OF: Final = ("of",)
_ITEMS: Final = Histogram(
    "crm_group_commit_items", "Items written in one batch", _OF, buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
)
_WAITED: Final = Histogram(
    "crm_group_commit_wait_seconds", "Of each batch, how long the first of its items had waited for it to begin", _OF
)
_WRITING: Final = Histogram("crm_group_commit_write_seconds", "Time from the begin of a batch to its last answer", _OF)
_REFUSED: Final = Counter("crm_group_commit_refused_total", "Items refused because too many waited", _OF)
_WAITING: Final = LiveGauge("crm_group_commit_waiting", "Items that wait for a batch", "of")


class _Waiting(NamedTuple, Generic[T, R]):
    """An item, who waits for its result, since when (monotonic), and in which span."""

    item: T
    future: asyncio.Future[R]
    since: float
    span: Any


class GroupCommit(Generic[T, R]):
    """Collects what callers submit and writes it in batches.

    Args:
        of: What is written, for the metrics.
        write: Writes a batch; returns for each item its result, or an error of ours for that item alone. Raises where
            the batch as a whole failed: a batch is then tried item by item, unless the database is away.
        key: Items with the same key are never in two batches at the same time.
        at_once: Batches that may be written at the same time: the service prepares one while the database writes
            another.
        full_at_once: Batches that may be, where each further one is full: to wait would not make it larger.
        weight: How many an item counts for, where it is itself a list. One that is heavier than a batch goes alone.
        largest: Items of one batch.
        most_waiting: Items that may wait.
        traces: Makes a span of each batch, where it is wanted.
    """

    def __init__(
        self,
        of: str,
        write: Callable[[Sequence[T]], Awaitable[Sequence[R | CrmError]]],
        *,
        key: Callable[[T], Hashable] = id,
        at_once: int = 1,
        full_at_once: int = 0,
        weight: Callable[[T], int] = lambda _: 1,
        largest: int = LARGEST_BATCH,
        most_waiting: int = MOST_WAITING,
        traces: Traces | None = None,
    ) -> None:
        self._write = write
        self._key = key
        self._at_once = at_once
        self._most_at_once = max(at_once, full_at_once)
        self._weight = weight
        self._largest = largest
        self._most_waiting = most_waiting
        self._of = of
        self._traces = traces
        self._weight_waiting = 0
        self._waiting: deque[_Waiting[T, R]] = deque()
        self._runners: set[asyncio.Task[None]] = set()
        self._at_work: set[Hashable] = set()
        self._items, self._waited, self._writing = _ITEMS.labels(of), _WAITED.labels(of), _WRITING.labels(of)
        self._refused = _REFUSED.labels(of)
        _WAITING.ask(self.waiting, of)

    def waiting(self) -> int:
        """How many items wait for a batch."""
        return self._weight_waiting

    async def submit(self, item: T) -> R:
        """Return the item's result once its batch is written.

        Who is cancelled meanwhile stops waiting; what was submitted is written all the same.

        Raises:
            Unavailable: Too many wait already, or the database is away.
            CrmError: What ``write`` gave for this item.
        """
        if self._weight_waiting >= self._most_waiting:
            self._refused.inc()
            raise Unavailable("Too many requests are waiting for the database; try again.", retry_after=1)
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        span = None if self._traces is None else self._traces.here()
        self._waiting.append(_Waiting(item, future, time.monotonic(), span))
        self._weight_waiting += self._weight(item)
        running = len(self._runners)
        if running < self._most_at_once and self._weight_waiting >= self._enough(beside=running):
            self._start()
        return await future

    def _enough(self, *, beside: int) -> int:
        """How much has to wait for a batch to begin beside that many."""
        if not beside:
            return 1
        return ENOUGH if beside < self._at_once else self._largest

    def _start(self) -> None:
        # In a context of its own: a batch belongs to no single request.
        runner = asyncio.create_task(self._run(), context=Context())
        self._runners.add(runner)
        runner.add_done_callback(self._ended)

    def _ended(self, runner: asyncio.Task[None]) -> None:
        self._runners.discard(runner)
        # Who came while it ended, or after it was ended from outside, must not wait for a submission that never comes.
        if not self._runners and any(not one.future.done() for one in self._waiting):
            self._start()

    async def _run(self) -> None:
        while batch := self._next():
            keys = {self._key(one.item) for one in batch}
            self._at_work |= keys
            began = time.monotonic()
            self._items.observe(sum(self._weight(one.item) for one in batch))
            self._waited.observe(began - batch[0].since)
            try:
                await self._settle(batch)
            finally:
                self._at_work -= keys
                self._writing.observe(time.monotonic() - began)

    def _next(self) -> list[_Waiting[T, R]]:
        """What has come meanwhile; nothing where so few wait that the batch beside this one can take them along."""
        if self._weight_waiting < self._enough(beside=len(self._runners) - 1):
            return []
        batch: list[_Waiting[T, R]] = []
        later: list[_Waiting[T, R]] = []
        weight = 0
        while self._waiting:
            item = self._waiting[0].item
            blocked = self._key(item) in self._at_work
            if not blocked and batch and weight + self._weight(item) > self._largest:
                break
            (later if blocked else batch).append(self._waiting.popleft())
            weight += 0 if blocked else self._weight(item)
        self._waiting.extendleft(reversed(later))
        self._weight_waiting -= weight
        return batch

    async def _settle(self, batch: Sequence[_Waiting[T, R]]) -> None:
        """Write a batch and answer everybody in it, whatever happens."""
        try:
            with self._span(batch):
                results: Sequence[R | CrmError] = await self._write([one.item for one in batch])
            if len(results) != len(batch):
                raise ValueError("A batch was answered with fewer or more results than it has items.")
        except Exception as exc:  # noqa: BLE001  handed to whoever waits
            if len(batch) > 1 and not isinstance(exc, Unavailable):
                for single in batch:
                    await self._settle([single])
                return
            results = [exc if isinstance(exc, CrmError) else _Failed(exc)] * len(batch)
        except BaseException:
            for one in batch:
                one.future.cancel()
            raise
        for one, result in zip(batch, results, strict=True):
            _answer(one.future, result)

    def _span(self, batch: Sequence[_Waiting[T, R]]) -> AbstractContextManager[Any]:
        if self._traces is None:
            return nullcontext()
        return self._traces.batch(self._of, len(batch), [one.span for one in batch])


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
