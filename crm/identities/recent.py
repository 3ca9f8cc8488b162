"""What this process has told the store already, so that a visitor's next event costs nothing. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from typing import Final

#: 0.4 KB each. Who is not among them is looked up, in one read for all of a request.
MOST: Final = 20_000


class Recent:
    """Statements and the earliest time at which each is known to be stored; the first to come is the first to go."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._since: dict[Hashable, datetime] = {}

    def covers(self, statement: Hashable, at: datetime) -> bool:
        """Whether it is stored, with this time or an earlier one."""
        since = self._since.get(statement)
        return since is not None and since <= at

    def add(self, statement: Hashable, at: datetime) -> None:
        """It is stored now."""
        self._since[statement] = min(self._since.get(statement, at), at)
        if len(self._since) > self._most:
            del self._since[next(iter(self._since))]
