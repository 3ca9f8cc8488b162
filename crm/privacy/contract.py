"""What the database enforces for privacy requests."""

from __future__ import annotations

from typing import Final

from crm.database.contract import CollectionContract
from crm.identity import Role
from crm.privacy.documents import PrivacyRequest

CONTRACT: Final = CollectionContract(
    document=PrivacyRequest, grants={Role.ADMIN: "find insert update remove", Role.INGEST: "insert"}
)
