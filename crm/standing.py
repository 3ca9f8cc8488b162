"""How the whole installation stands, as metrics: whether the database is there, what waits in it, and since when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from crm.activity import service as activity
from crm.backup_runs import service as backup_runs
from crm.clock import now
from crm.database.driver import Database, acting_as
from crm.errors import CrmError
from crm.identity import Role
from crm.inbox import service as inbox
from crm.orders import service as orders

#: Whoever asks more often is told the same again: /metrics is open to all who reach it.
_LOOK_EVERY: Final = 5.0
#: Prometheus waits 10 s for the whole answer unless it is told otherwise.
_LONGEST_LOOK: Final = 5.0


class Standing:
    """What the database knows; the same whichever process is asked.

    Args:
        database: Which one.
        problems: What differs from the contract.
        look_every: Seconds for which an answer holds.
    """

    def __init__(
        self, database: Database, problems: Callable[[], Awaitable[list[str]]], *, look_every: float = _LOOK_EVERY
    ) -> None:
        self._database = database
        self._problems = problems
        self._look_every = look_every
        self._looked_at = -look_every
        self._found: Sequence[Metric] = ()
        self._lock = asyncio.Lock()

    async def metrics(self) -> Sequence[Metric]:
        """What was found, a few seconds ago at most; no more than ``crm_database_up 0`` where it does not answer."""
        async with self._lock:
            if time.monotonic() - self._looked_at >= self._look_every:
                self._found = await self._look()
                self._looked_at = time.monotonic()
        return self._found

    async def _look(self) -> Sequence[Metric]:
        up = GaugeMetricFamily("crm_database_up", "Whether MongoDB answers")
        try:
            async with asyncio.timeout(_LONGEST_LOOK):
                with acting_as(self._database, Role.INGEST):
                    found = await self._ask()
        except (CrmError, TimeoutError):
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *found]

    async def _ask(self) -> Sequence[Metric]:
        problems = await self._problems()
        backlog = await inbox.backlog()
        runs = await backup_runs.latest()
        totals, told = await orders.totals_due_since(), await activity.told_up_to()
        states = GaugeMetricFamily("crm_inbox_deliveries", "Deliveries not done, 10000 at most", labels=["state"])
        for state, count in backlog.counts.items():
            states.add_metric([state], count)
        return [
            _gauge("crm_contract_differences", "What of the database differs from what is declared", len(problems)),
            states,
            _gauge("crm_inbox_lag_seconds", "For how long a delivery has been due", _age(backlog.due_since)),
            _gauge("crm_totals_lag_seconds", "How far totals may be behind the orders", _age(totals)),
            _gauge("crm_activity_lag_seconds", "How far activity may be behind the events", _age(told)),
            # Without a value: nobody has written down yet that a backup was made, or restored and compared.
            _moment("crm_last_backup_timestamp_seconds", "When the last backup was made", runs.get("backup")),
            _moment(
                "crm_last_verified_restore_timestamp_seconds",
                "When a backup was last restored and compared",
                runs.get("restore"),
            ),
            _moment("crm_last_slice_timestamp_seconds", "Up to when slices of the oplog go", runs.get("slice")),
        ]


def _gauge(name: str, says: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, says)
    family.add_metric([], value)
    return family


def _moment(name: str, says: str, at: datetime | None) -> Metric:
    family = GaugeMetricFamily(name, says)
    if at is not None:
        family.add_metric([], at.timestamp())
    return family


def _age(since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (now() - since).total_seconds())
