"""What was heard of and is not told yet: however much comes, it takes little memory, and it knows since when. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from crm.gauges import LiveGauge

#: Beyond these, who it was is forgotten, and looked up by the time at which it came.
MOST_HEARD: Final = 100_000
_WAITING: Final = LiveGauge("crm_activity_identities_due", "Identities whose activity this process has to tell")


@dataclass(frozen=True, slots=True)
class Due:
    """What has to be told.

    Attributes:
        identity_ids: Of whom; None stands for all of whom anything was received since.
        since: When the first of it was received.
    """

    identity_ids: set[str] | None
    since: datetime


class Heard:
    """Collects until somebody takes it.

    Args:
        most: Identities that are remembered one by one.
    """

    def __init__(self, most: int = MOST_HEARD) -> None:
        self._most = most
        self._new: Due | None = None
        self._taken: Due | None = None
        _WAITING.ask(self.waiting)

    def add(self, identity_ids: Collection[str], received_at: datetime) -> None:
        """Something was received of some identities. Costs nothing but adding to a set: senders wait for it."""
        if self._new is None:
            self._new = Due(set(), received_at)
        known = self._new.identity_ids
        if received_at < self._new.since:
            self._new = Due(known, received_at)
        if known is not None:
            known.update(identity_ids)
            self._new = self._bounded(self._new)

    def waiting(self) -> int:
        """How many identities are to be told; where they are forgotten, as many as are remembered at most."""
        due = [self._most if it.identity_ids is None else len(it.identity_ids) for it in self._untold()]
        return min(sum(due), self._most)

    def take(self) -> Due | None:
        """All that is due, what was taken before and not settled included; None where nothing is."""
        new, taken = self._new, self._taken
        if new is not None and taken is not None:
            both = None
            if new.identity_ids is not None and taken.identity_ids is not None:
                both = new.identity_ids | taken.identity_ids
            new = self._bounded(Due(both, min(new.since, taken.since)))
        self._new, self._taken = None, new or taken
        return self._taken

    def settled(self) -> None:
        """What was taken is told."""
        self._taken = None

    def clean_up_to(self, now: datetime) -> datetime:
        """A time before which nothing that was heard of is left to tell."""
        return min(now, *(due.since for due in self._untold()), now)

    def _untold(self) -> list[Due]:
        return [due for due in (self._new, self._taken) if due is not None]

    def _bounded(self, due: Due) -> Due:
        return due if due.identity_ids is None or len(due.identity_ids) <= self._most else Due(None, due.since)
