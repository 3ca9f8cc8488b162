"""Is a backup as it was written, and can it be read? Without a server."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from crm.database.archive import Kept, Told, narrowed
from crm.errors import BackupFailed
from crm.ops.backup import files, ledgers, slices
from crm.ops.backup.manifest import Manifest
from crm.ops.backup.slices import Slice
from crm.ops.backup.targets import Target

OnBytes = Callable[[int, int], None]


def verify(target: Target, backup: Manifest, identities: Sequence[Any], on_bytes: OnBytes) -> Told | None:
    """Read every file, and, where there is a key for it, the archive and the ledger's copy from end to end.

    Returns:
        What the archive holds; None where it is encrypted and there is no key.

    Raises:
        BackupFailed: A file is missing or changed, or the archive cannot be read to its end.
        InvalidInput: The ledger's copy has a line that is no entry.
    """
    if backup.ledger is not None:
        if backup.ledger.encrypted and not identities:
            files.check(target, backup.ledger)
        else:
            with tempfile.TemporaryDirectory(prefix="crm-verify-") as folder:
                ledgers.fetch(target, backup.ledger, identities, Path(folder))
    if backup.archive.encrypted and not identities:
        check_archive(target, backup, on_bytes)
        return None
    return read_archive(target, backup, identities, on_bytes)


def check_archive(target: Target, backup: Manifest, on_bytes: OnBytes) -> None:
    """Read the archive as it lies there, without its key.

    Raises:
        BackupFailed: It is missing or changed.
    """
    files.check(target, backup.archive, lambda done: on_bytes(done, backup.archive.bytes))


def read_archive(target: Target, backup: Manifest, identities: Sequence[Any], on_bytes: OnBytes) -> Told:
    """Read the archive as it lies there, and then what it says, from end to end.

    Raises:
        NotConfigured: It is encrypted, and there is no key.
        BackupFailed: It is missing or changed, cannot be read to its end, or is not the one of its manifest.
    """
    check_archive(target, backup, on_bytes)
    told = Told()
    with files.content(target, backup.archive, identities) as packed, files.unpacked(packed) as archive:
        for _ in narrowed(archive, Kept({backup.database: backup.database}), told):
            pass
    # Entries of others were at either end of the oplog when it was dumped, and are not in the archive.
    within = told.first and told.last and backup.oplog_first <= told.first <= told.last <= backup.oplog_last
    if not within or told.tool_version != backup.tool_version:
        raise BackupFailed(f"{backup.archive.file} is not the archive that its manifest describes.")
    return told


def read_slice(target: Target, one: Slice, identities: Sequence[Any]) -> None:
    """Read a slice of the oplog as it lies there, and then what it says, from end to end.

    Raises:
        NotConfigured: It is encrypted, and there is no key.
        BackupFailed: It is missing or changed, cannot be read to its end, or has another number of entries.
    """
    files.check(target, one.stored)
    for _ in slices.entries_of(target, one, identities):
        pass
