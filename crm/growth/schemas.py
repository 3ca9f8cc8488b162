"""A measurement as others see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Measured:
    """How large the store was at a moment.

    Attributes:
        at: When.
        disk_used: Bytes of the disk that MongoDB's data are on, whoever uses them.
        disk_total: Bytes that it has.
        collections: Collection → how many documents, and bytes on disk with its indexes.
    """

    at: datetime
    disk_used: int
    disk_total: int
    collections: Mapping[str, tuple[int, int]]
