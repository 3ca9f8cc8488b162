"""The ledger as a file of JSON lines, copied apart from the backups of the database."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from crm.errors import InvalidInput


def append(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Add entries to the file, and return when they are on the disk.

    In one write: several processes may add at once, and none breaks another's line.

    Raises:
        OSError: They cannot be written.
    """
    data = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.write(descriptor, data) != len(data):
            raise OSError(f"{path} could not be written in full")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of a file; what is there twice comes twice.

    Raises:
        InvalidInput: A line is no entry; names its number.
        OSError: The file cannot be read.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = msgspec.json.decode(line, type=dict[str, Any])
            except (msgspec.MsgspecError, UnicodeDecodeError):
                raise InvalidInput(f"Line {number} of {path.name} is no entry of a ledger.") from None
            yield row
