"""Copies of the erasure ledger beside the backups: the newest is found, fetched, and looked through."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from crm.ledger import service as ledger
from crm.ops.backup import files
from crm.ops.backup.manifest import Manifest, Stored
from crm.ops.backup.targets import Target


def newest(backups: Iterable[Manifest]) -> Manifest | None:
    """The last of these backups that has a copy: the ledger only ever grows.

    Args:
        backups: Of one database, oldest first.
    """
    return next((one for one in reversed(list(backups)) if one.ledger is not None), None)


def fetch(target: Target, stored: Stored, identities: Sequence[Any], folder: Path) -> Path:
    """A copy as a file in a folder, once it has been read to its end and every line of it is an entry.

    Raises:
        NotConfigured: It is encrypted, and there is no key.
        BackupFailed: It is not there, not as it was written, or cannot be decrypted.
        InvalidInput: A line of it is no entry.
    """
    files.check(target, stored)
    path = folder / stored.file.removesuffix(files.ENCRYPTED)
    with files.content(target, stored, identities) as content, path.open("wb") as file:
        shutil.copyfileobj(content, file, files.PIECE)
    ledger.look_through(path)
    return path
