"""What the database enforces for connections."""

from __future__ import annotations

from typing import Final

from crm.connections.documents import Connection, ConnectionSecrets
from crm.database.contract import CollectionContract
from crm.identity import Role

#: ``auth`` is what a webhook runs as: it checks the signature. What carries deliveries out is ``ingest``, which can
#: neither read a secret nor change a connection.
CONTRACTS: Final = (
    CollectionContract(
        document=Connection,
        grants={Role.ADMIN: "find insert update remove", Role.AUTH: "find", Role.INGEST: "find"},
    ),
    CollectionContract(document=ConnectionSecrets, grants={Role.ADMIN: "find insert update remove", Role.AUTH: "find"}),
)
