"""What the database enforces for the audit log."""

from __future__ import annotations

from typing import Final

from crm.audit.documents import AuditEntry
from crm.database.contract import CollectionContract
from crm.identity import Role

#: Nobody changes or removes an entry. ``auth``, the API itself, appends whoever acts; the command line as ``admin``.
CONTRACT: Final = CollectionContract(
    document=AuditEntry,
    grants={Role.ADMIN: "find insert", Role.AUTH: "find insert"},
    droppable=False,
)
