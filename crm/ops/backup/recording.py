"""Writes into the live database that a backup was made or proven, so that ``/metrics`` can tell."""

from __future__ import annotations

import asyncio
from datetime import datetime

from crm.backup_runs import service as backup_runs
from crm.backup_runs.documents import Kind
from crm.config import Settings
from crm.errors import CrmError
from crm.ops.provision import administration


def record(uri: str, settings: Settings, kind: Kind, backup: str, as_of: datetime, seconds: float) -> str | None:
    """Note a run that has gone well; returns why it could not be noted, None where it was.

    Args:
        uri: With credentials, or else it is done as the MongoDB user ``admin``: ``backup`` may write nothing.
        settings: The database's name, passwords.
        kind: What was done.
        backup: The backup's name.
        as_of: The moment that its data are of.
        seconds: How long it took.
    """

    async def note() -> None:
        async with administration(uri, settings):
            await backup_runs.note(kind, backup, as_of, seconds)

    try:
        asyncio.run(note())
    except CrmError as exc:
        return exc.detail
    return None
