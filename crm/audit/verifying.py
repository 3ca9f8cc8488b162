"""Proving the audit log: every entry is there, as it was written, behind the one before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from crm.audit import queries
from crm.audit.chain import START, Fault, Head, before, follow, id_of
from crm.audit.documents import AuditEntry
from crm.database import violations

TOGETHER: Final = 2_000
#: Faults that are named; the others are counted.
MOST_NAMED: Final = 100


@dataclass(slots=True)
class Verified:
    """What a proof found.

    Attributes:
        head: The last entry that was looked at.
        count: Entries that were looked at.
        wrong: How many faults there are.
        faults: The first of them.
    """

    head: Head = START
    count: int = 0
    wrong: int = 0
    faults: list[Fault] = field(default_factory=list)

    def add(self, faults: list[Fault], *, count: int | None = None) -> None:
        """Note some more; ``count`` where there are more than are named."""
        self.wrong += len(faults) if count is None else count
        self.faults += faults[: MOST_NAMED - len(self.faults)]


async def verify(
    first: int = 1,
    noted: Head | None = None,
    on_progress: Callable[[Verified], None] = lambda _: None,
    together: int = TOGETHER,
) -> Verified:
    """Check the log from one entry to its end, while the service goes on appending.

    Args:
        first: Number of the first entry to check; the one before it is taken as it is.
        noted: An end of the log that was noted before, elsewhere: it has to be there still.
        on_progress: Called after each batch with what was found so far.
        together: Entries that are held in memory at a time.
    """
    log = AuditEntry.stored()
    found = Verified(before(first))
    last = id_of(found.head.seq) if found.head.seq else ""
    while rows := await log.find(queries.behind(last, together)):
        found.head, faults = follow(found.head, rows)
        found.add(faults)
        found.count += len(rows)
        last = rows[-1]["_id"]
        on_progress(found)
    count, some = await violations.strangers(log, MOST_NAMED)
    if count:
        found.add([Fault(str(id_), "Its id is not one of this log's: it was put in.") for id_ in some], count=count)
    if noted is not None and (fault := await _compared(noted)):
        found.add([fault])
    return found


async def _compared(noted: Head) -> Fault | None:
    if noted == START:
        return None
    row = await AuditEntry.stored().find_one(queries.by_id(id_of(noted.seq)))
    if row is None:
        return Fault(id_of(noted.seq), "It was noted as the last entry, and is missing: the end was cut off.")
    if row.get("hash") != noted.hash:
        return Fault(id_of(noted.seq), "It is not the entry that was noted: the log was written anew.")
    return None
