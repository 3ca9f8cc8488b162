"""One run of the doctor, and what a check is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from crm.database.driver import Database
from crm.ops.doctor.findings import Checked

#: Documents that are held in memory at a time.
TOGETHER: Final = 1_000


def _quiet(_check: str, _done: int, _of: int) -> None:
    """No bar."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One run of the doctor.

    Attributes:
        database: What is looked at, acting as an administrator.
        fix: Whether to mend what can be mended.
        progress: Called with (check, done, of about how many).
        together: Documents that are held in memory at a time.
    """

    database: Database
    fix: bool = False
    progress: Callable[[str, int, int], None] = _quiet
    together: int = TOGETHER


Check = Callable[[Visit], Awaitable[Checked]]
