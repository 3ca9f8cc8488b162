"""What a comparison of stored documents with what they follow from found. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Compared:
    """What was compared at a time.

    Attributes:
        customers: How many were compared.
        last: Id to go on behind; None at the end.
        wrong: Whose stored values are not what they should be.
    """

    customers: int
    last: str | None
    wrong: list[str]


@dataclass(frozen=True, slots=True)
class Orphaned:
    """What names somebody, or something, that does not exist.

    Attributes:
        named: How many ids were looked for.
        last: Id to go on behind; None at the end.
        missing: Each that leads nowhere → how many documents name it, and ids of some of them.
    """

    named: int
    last: str | None
    missing: Mapping[str, tuple[int, list[str]]]
