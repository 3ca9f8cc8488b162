"""What processes of the tests wrote to their logs, and whether it names anybody."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

#: Of the service and of MongoDB, rotated ones included. What `crm demo` shows its user is no log.
LOGS = ("api.log*", "mongod*.log*")
#: Any e-mail address, percent-encoded ones too; more than were used, and none that could be forgotten here.
ADDRESS = re.compile(r"[\w.+-]+(?:@|%40|\\u0040)[\w-]+(?:\.[\w-]+)+", re.IGNORECASE)


def logs_below(folder: Path) -> list[Path]:
    """All logs in a folder."""
    return sorted({path for pattern in LOGS for path in folder.rglob(pattern) if path.is_file()})


def naming(logs: Iterable[Path], *, further: Iterable[str] = ()) -> list[str]:
    """Lines with an e-mail address, or one of some further texts."""
    words = [word.lower() for word in further]
    found = []
    for path in logs:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if ADDRESS.search(line) or any(word in line.lower() for word in words):
                    found.append(f"{path}:{number}: {line.strip()[:1000]}")
    return found
