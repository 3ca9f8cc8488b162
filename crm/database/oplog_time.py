"""A place in the oplog."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple


class OplogTime(NamedTuple):
    """A place in the oplog: two writes never have the same, and a later one has the greater.

    Attributes:
        seconds: Since 1970.
        ordinal: Of the write within that second, from 1.
    """

    seconds: int
    ordinal: int

    @property
    def moment(self) -> datetime:
        """The second."""
        return datetime.fromtimestamp(self.seconds, UTC)

    def __str__(self) -> str:
        return f"{self.seconds}:{self.ordinal}"  # as mongorestore's --oplogLimit takes it
