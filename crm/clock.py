"""The time now, as everything that is stored keeps it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

#: How far the clock of whoever sends may run ahead of ours.
ALLOWED_SKEW: Final = timedelta(minutes=5)


def now() -> datetime:
    """UTC, whole milliseconds (BSON keeps no more)."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
