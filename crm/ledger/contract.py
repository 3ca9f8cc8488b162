"""What the database enforces for the ledger: it is added to and read, and nobody changes or removes an entry."""

from __future__ import annotations

from typing import Final

from crm.database.contract import CollectionContract
from crm.identity import Role
from crm.ledger.documents import Forgotten

#: In the database beside ours. Read by the service itself as ``ingest``; added to by whoever erases.
CONTRACT: Final = CollectionContract(document=Forgotten, grants={Role.ADMIN: "find insert", Role.INGEST: "find"})
