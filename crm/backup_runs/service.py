"""Notes the last run of each kind that went well, and tells of it."""

from __future__ import annotations

from datetime import datetime

from crm.backup_runs import queries
from crm.backup_runs.documents import BackupRun, Kind
from crm.clock import now


async def note(kind: Kind, backup: str, as_of: datetime, seconds: float) -> None:
    """Write down that a run has gone well just now."""
    run = BackupRun.model_validate({"_id": kind, "backup": backup, "as_of": as_of, "at": now(), "seconds": seconds})
    change = queries.replaced_by(run.as_stored())
    await BackupRun.stored().update_one(queries.of_kind(kind), change, upsert=True)


async def latest() -> dict[Kind, datetime]:
    """When each kind of run last went well, of slices up to when they go; without those that never did."""
    rows = await BackupRun.stored().find(queries.of_each_kind())
    return {row["_id"]: row["as_of" if row["_id"] == "slice" else "at"] for row in rows}
