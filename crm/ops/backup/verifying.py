"""Is a backup as it was written, and can it be read? Without a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from crm.database.archive import Kept, Told, narrowed
from crm.errors import BackupFailed
from crm.ops.backup import files
from crm.ops.backup.manifest import Manifest
from crm.ops.backup.targets import Target


def verify(
    target: Target, backup: Manifest, identities: Sequence[Any], on_bytes: Callable[[int, int], None]
) -> Told | None:
    """Read every file, and, where there is a key for it, the archive from end to end.

    Returns:
        What the archive holds; None where it is encrypted and there is no key.

    Raises:
        BackupFailed: A file is missing or changed, or the archive cannot be read to its end.
    """
    for stored in (backup.archive, backup.ledger):
        if stored is not None:
            size = stored.bytes
            files.check(target, stored, lambda done, of=size: on_bytes(done, of))  # type: ignore[misc]
    if backup.archive.encrypted and not identities:
        return None
    told = Told()
    with files.content(target, backup.archive, identities) as packed, files.unpacked(packed) as archive:
        for _ in narrowed(archive, Kept({backup.database: backup.database}), told):
            pass
    if told.tool_version != backup.tool_version:
        raise BackupFailed(f"{backup.archive.file} is not the archive that its manifest describes.")
    return told
