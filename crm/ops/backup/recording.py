"""Writes into the live database that a backup was made or restored, and how far slices go: for ``/metrics``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm.audit import service as audit
from crm.audit.actions import Action
from crm.backup_runs import service as backup_runs
from crm.backup_runs.documents import Kind
from crm.config import Settings
from crm.errors import CrmError
from crm.identity import Principal
from crm.ops.backup.slices import Slice
from crm.ops.provision import administration


@dataclass(frozen=True, slots=True)
class Record:
    """What is written down.

    Attributes:
        action: ``BACKUP_CREATE`` or ``BACKUP_RESTORE``.
        backup: The backup's name.
        as_of: The moment that its data are of.
        seconds: How long it took.
        well: Whether all was proven; else only the audit log hears of it.
        drill: Whether it was restored elsewhere, only to see that it can be.
    """

    action: Action
    backup: str
    as_of: datetime
    seconds: float
    well: bool = True
    drill: bool = False

    def details(self) -> dict[str, Any]:
        """For the audit log."""
        if self.action is Action.BACKUP_CREATE:
            return {"backup": self.backup}
        return {"backup": self.backup, "well": self.well, "drill": self.drill}


def write_down(uri: str, settings: Settings, principal: Principal, record: Record) -> str | None:
    """Write it down; returns why that could not be done, None where it was.

    Args:
        uri: With credentials, or else it is done as the MongoDB user ``admin``: ``backup`` may write nothing.
        settings: The database's name, passwords.
        principal: Who did it.
        record: What was done.
    """

    async def write() -> None:
        await audit.record(principal, record.action, [], record.details())
        if record.well:
            kind: Kind = "backup" if record.action is Action.BACKUP_CREATE else "restore"
            await backup_runs.note(kind, record.backup, record.as_of, record.seconds)

    return _written(uri, settings, write)


def note_slice(uri: str, settings: Settings, taken: Slice) -> str | None:
    """Note how far slices go, in place of what was noted before; the audit log need not hear of it every minute.

    Args:
        uri: As ``write_down`` takes it.
        settings: The database's name, passwords.
        taken: The last slice.

    Returns:
        Why that could not be done; None where it was.
    """
    return _written(uri, settings, lambda: backup_runs.note("slice", taken.name, taken.last.moment, 0.0))


def _written(uri: str, settings: Settings, write: Callable[[], Awaitable[None]]) -> str | None:
    async def as_administrator() -> None:
        async with administration(uri, settings):
            await write()

    try:
        asyncio.run(as_administrator())
    except CrmError as exc:
        return exc.detail
    return None
