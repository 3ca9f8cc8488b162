"""Section ``disk``: room, the oplog, backups."""

from __future__ import annotations

from crm.backup_runs import service as backup_runs
from crm.clock import now
from crm.database import disk
from crm.ops.doctor import disk_rules
from crm.ops.doctor.findings import Checked
from crm.ops.doctor.security_rules import not_looked
from crm.ops.doctor.visit import Visit


async def look(visit: Visit) -> list[Checked]:
    """Every check of the section."""
    runs = await backup_runs.latest()
    oplog = await disk.oplog(visit.database)
    return [
        disk_rules.room(await disk.disk(visit.database)),
        not_looked("oplog", "serverStatus") if oplog is None else disk_rules.reach(oplog),
        disk_rules.backups(now(), runs.get("backup"), runs.get("restore"), runs.get("slice"), oplog),
        disk_rules.slices(now(), runs.get("slice"), oplog),
    ]
