"""What the database enforces for its own changes."""

from __future__ import annotations

from crm.changes.documents import SchemaChange, SchemaLock
from crm.database.contract import CollectionContract
from crm.identity import Role

LOCKS = CollectionContract(document=SchemaLock, grants={Role.ADMIN: "find insert update"}, droppable=False)
CHANGES = CollectionContract(document=SchemaChange, grants={Role.ADMIN: "find insert update"}, droppable=False)
CONTRACTS = (LOCKS, CHANGES)
