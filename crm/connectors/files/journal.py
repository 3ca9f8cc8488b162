"""How far an import has come, so that it can go on after whatever ended it."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self

from crm.errors import InvalidInput

_LOOKED_AT: Final = 64 * 1024


def fingerprint(path: Path) -> dict[str, Any]:
    """What tells a file from a changed one: size, time and its first 64 KiB."""
    status = path.stat()
    with path.open("rb") as file:
        begins = hashlib.sha256(file.read(_LOOKED_AT)).hexdigest()
    return {"size": status.st_size, "modified_ns": status.st_mtime_ns, "begins": begins}


@dataclass(slots=True)
class Journal:
    """The acknowledged part of an import.

    Attributes:
        file: The fingerprint.
        job: What is imported, where to and how; another job cannot go on with this journal.
        line: The last line of the file whose result is known; 0 before the first.
        counts: Results so far.
        rejects_size: Bytes of the rejects file that belong to them; what stands behind is written again.
    """

    file: dict[str, Any]
    job: dict[str, Any]
    line: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    rejects_size: int = 0

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """What was written, or None where nothing was.

        Raises:
            InvalidInput: It cannot be read.
        """
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                dict(said["file"]), dict(said["job"]), int(said["line"]), Counter(said["counts"]),
                int(said["rejects_size"]),
            )  # fmt: skip
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise InvalidInput(f"{path} is no journal of an import; remove it to begin again.") from None

    def save(self, path: Path) -> None:
        """Write it whole or not at all: a file beside it takes its place."""
        draft = path.with_name(f"{path.name}.new")
        with draft.open("w", encoding="utf-8") as file:
            json.dump({f.name: getattr(self, f.name) for f in fields(self)}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    def check(self, file: Mapping[str, Any], job: Mapping[str, Any], path: Path) -> None:
        """Make sure that it belongs to this file and job.

        Raises:
            InvalidInput: It does not; says what differs.
        """
        if self.file != file:
            raise InvalidInput(f"The file has changed since; to send all of it, leave --resume out or remove {path}.")
        differ = sorted(name for name in {*self.job, *job} if self.job.get(name) != job.get(name))
        if differ:
            raise InvalidInput(f"{path} is of an import with another {', '.join(differ)}; leave --resume out.")
