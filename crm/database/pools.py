"""Counts what the driver's connection pools do: how many connections there are, who waits for one, and what fails."""

from __future__ import annotations

from typing import Any, Final

from prometheus_client import Counter, Gauge, Histogram
from pymongo import monitoring

_ROLE: Final = ("role",)
_OPEN: Final = Gauge("crm_mongodb_connections", "Connections to MongoDB that are open", _ROLE)
_IN_USE: Final = Gauge("crm_mongodb_connections_in_use", "Connections to MongoDB that an operation uses", _ROLE)
_WAIT: Final = Histogram(
    "crm_mongodb_checkout_seconds",
    "Time until an operation had its connection",
    _ROLE,
    buckets=(0.0001, 0.001, 0.01, 0.1, 1.0, 10.0),
)
_FAILED: Final = Counter("crm_mongodb_checkout_failures_total", "Operations that got no connection", (*_ROLE, "reason"))
_CLOSED: Final = Counter("crm_mongodb_connections_closed_total", "Connections that were closed", (*_ROLE, "reason"))


class _Silent(monitoring.ConnectionPoolListener):
    """Hears of everything, as the driver demands."""

    def _nothing(self, _event: Any) -> None:
        pass

    # Each signature is narrower than this one.
    pool_created = pool_ready = pool_cleared = pool_closed = _nothing  # type: ignore[assignment]
    connection_created = connection_ready = connection_closed = _nothing  # type: ignore[assignment]
    connection_check_out_started = connection_check_out_failed = _nothing  # type: ignore[assignment]
    connection_checked_out = connection_checked_in = _nothing  # type: ignore[assignment]


class PoolFigures(_Silent):
    """Of one client. The driver calls it in whichever thread works.

    Args:
        role: Whose client it is.
    """

    def __init__(self, role: str) -> None:
        self._role = role
        self._open, self._in_use, self._wait = _OPEN.labels(role), _IN_USE.labels(role), _WAIT.labels(role)

    def connection_created(self, _event: Any) -> None:
        """One more."""
        self._open.inc()

    def connection_closed(self, event: monitoring.ConnectionClosedEvent) -> None:
        """One less."""
        self._open.dec()
        _CLOSED.labels(self._role, event.reason).inc()

    def connection_checked_out(self, event: monitoring.ConnectionCheckedOutEvent) -> None:
        """An operation has its connection."""
        self._in_use.inc()
        self._wait.observe(event.duration or 0.0)

    def connection_checked_in(self, _event: Any) -> None:
        """It has given it back."""
        self._in_use.dec()

    def connection_check_out_failed(self, event: monitoring.ConnectionCheckOutFailedEvent) -> None:
        """It got none."""
        _FAILED.labels(self._role, event.reason).inc()
