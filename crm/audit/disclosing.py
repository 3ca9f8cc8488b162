"""What the audit log has of a person: who read or changed what was theirs."""

from __future__ import annotations

from typing import Final

from crm.audit import queries
from crm.audit.documents import AuditEntry
from crm.database.paging import Position, beyond
from crm.person import Person, Tell

_TOGETHER: Final = 500


async def disclose(person: Person, tell: Tell) -> None:
    """Tell the entries, the latest first: what was done in which role, not by whom, nor to whom else."""
    for customer_id in sorted(person.customers):
        position: Position | None = None
        while rows := await AuditEntry.stored().find(beyond(queries.about(customer_id), "-at", position, _TOGETHER)):
            told = [
                {"at": row["at"], "action": row["action"], "role": row["actor"].get("role"), "target": customer_id}
                for row in rows
            ]
            await tell("audit_log", told)
            position = (rows[-1]["at"], rows[-1]["_id"])
