"""Who may say that there is a backup: not the one who makes it, for it may write nothing."""

from __future__ import annotations

from crm.backup_runs.documents import BackupRun
from crm.database.contract import CollectionContract
from crm.identity import Role

CONTRACT = CollectionContract(document=BackupRun, grants={Role.ADMIN: "find insert update", Role.INGEST: "find"})
