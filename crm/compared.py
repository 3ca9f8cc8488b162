"""What a comparison of stored documents with what they follow from found. Pure."""

from __future__ import annotations

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
