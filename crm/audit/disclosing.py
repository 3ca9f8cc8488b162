"""What the audit log has of a person: who read or changed what was theirs."""

from __future__ import annotations

from typing import Final

from crm.audit import queries
from crm.audit.documents import AuditEntry
from crm.database.paging import Position, beyond
from crm.person import Person, Tell

_TOGETHER: Final = 500


async def disclose(person: Person, tell: Tell) -> None:
    """Tell the entries, the latest first."""
    for customer_id in sorted(person.customers):
        position: Position | None = None
        while rows := await AuditEntry.stored().find(beyond(queries.about(customer_id), "-at", position, _TOGETHER)):
            await tell("audit_log", rows)
            position = (rows[-1]["at"], rows[-1]["_id"])
