"""Carries deliveries out, one after another, in every process of the service; safe with any number of them.

A delivery is claimed for two minutes. Whoever ends in between loses the claim, and another worker carries the delivery
out again: what connectors do is the same when it is done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

import structlog

from crm.database.driver import Database, acting_as
from crm.errors import CrmError, Forbidden, NotFound, OperatorError, Unavailable, Unmappable
from crm.identity import Role
from crm.inbox import service
from crm.inbox.schemas import Outcome, Work
from crm.log import place

log = structlog.get_logger("crm.inbox")
Apply = Callable[[Work], Awaitable[Outcome]]

#: Deliveries that are looked at in one go; only one body is in memory at a time.
_BATCH: Final = 50
#: How often is looked for what other processes took in, what is to be tried again, and claims that have ended.
_SWEEP_SECONDS: Final = 1.0
_SWEEP_AFTER_FAULT_SECONDS: Final = 5.0
#: 1, 2, 4 … 300 s: together about twenty minutes.
_MOST_ATTEMPTS: Final = 12
_LONGEST_WAIT: Final = timedelta(minutes=5)
#: How long a delivery that is being carried out may take to end when the service stops.
_GRACE_SECONDS: Final = 10.0


class Worker:
    """One for each process.

    Args:
        database: Where the inbox is.
        apply: Carries one delivery out; raises our errors.
    """

    def __init__(self, database: Database, apply: Apply) -> None:
        self._database = database
        self._apply = apply
        self._something_came = asyncio.Event()
        self._stopping = False

    @asynccontextmanager
    async def running(self, *, wanted: bool = True) -> AsyncIterator[None]:
        """Carry out within the block; at its end, the delivery that is being carried out has some seconds to end."""
        task = asyncio.create_task(self._run(), name="inbox") if wanted else None
        try:
            yield
        finally:
            self._stopping = True
            self._something_came.set()
            if task is not None:
                await _end(task)

    def wake(self) -> None:
        """Something was put down; do not wait for the next sweep."""
        self._something_came.set()

    async def _run(self) -> None:
        with acting_as(self._database, Role.INGEST):
            while not self._stopping:
                wait = _SWEEP_SECONDS
                self._something_came.clear()
                try:
                    if await self.sweep():
                        continue
                except Exception as exc:  # noqa: BLE001  whatever it is, deliveries must be carried out once it is over
                    log.error("inbox cannot be read", error=type(exc).__name__)
                    wait = _SWEEP_AFTER_FAULT_SECONDS
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._something_came.wait(), wait)

    async def sweep(self) -> int:
        """Carry out what is due; returns how many deliveries there were."""
        carried_out = 0
        for delivery_id in await service.due(_BATCH):
            if self._stopping:
                break
            work = await service.claim(delivery_id)
            if work is not None:
                await self._carry_out(work)
                carried_out += 1
        return carried_out

    async def _carry_out(self, work: Work) -> None:
        if work.attempt > _MOST_ATTEMPTS:
            # Each try ended without a word: perhaps this delivery ends the process.
            await service.bury(work, "gave_up", "It was tried too often; the log says why.")
            return
        try:
            outcome: Outcome = "superseded" if await service.is_superseded(work) else await self._apply(work)
        except (Unavailable, NotFound, Forbidden) as exc:
            # Not found: a refund can come before its order. Forbidden: the roles of a new version are not applied yet.
            await self._later(work, exc)
        except OperatorError:
            raise
        except CrmError as exc:
            await (self._bury(work, exc) if exc.retry_after is None else self._later(work, exc))
        except Exception as exc:  # noqa: BLE001  a fault of ours must not stop the deliveries behind this one
            await service.bury(work, "internal_error", "This is a fault of the service; its log says where.")
            log.error("delivery is dead", delivery=work.id, topic=work.topic, error=type(exc).__name__, **place(exc))
        else:
            await service.settle(work, outcome)

    async def _later(self, work: Work, exc: CrmError) -> None:
        if work.attempt >= _MOST_ATTEMPTS:
            await self._bury(work, exc)
        else:
            await service.put_off(work, backoff(work.attempt))

    async def _bury(self, work: Work, exc: CrmError) -> None:
        reason = exc.reason if isinstance(exc, Unmappable) else exc.code
        await service.bury(work, reason, explain(exc))
        log.warning("delivery is dead", delivery=work.id, topic=work.topic, reason=reason)


async def _end(task: asyncio.Task[None]) -> None:
    done, _ = await asyncio.wait([task], timeout=_GRACE_SECONDS)
    if not done:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def backoff(attempt: int) -> timedelta:
    """The wait after so many tries, 1 or more."""
    return min(_LONGEST_WAIT, timedelta(seconds=2 ** min(attempt - 1, 20)))


def explain(exc: CrmError) -> str:
    """An error as one text; ours never repeat a value."""
    fields = "; ".join(f"{error.pointer} {error.detail}".strip() for error in exc.errors)
    return f"{exc.detail} {fields}".strip()
