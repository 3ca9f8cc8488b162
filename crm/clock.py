"""The time now, as everything that is stored keeps it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """UTC, whole milliseconds (BSON keeps no more)."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
