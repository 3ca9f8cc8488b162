"""One difference between what is declared and what is live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

    DB = AsyncIOMotorDatabase[dict[str, Any]]


class Change(StrEnum):
    """What a step does; its value is the sign that ``crm db plan`` prints."""

    ADD = "+"
    ALTER = "~"
    REMOVE = "-"
    FOREIGN = "?"  # there by someone else's hand; reported, never touched


@dataclass(frozen=True, slots=True)
class Step:
    """One difference between what is declared and what is live.

    Attributes:
        change: Added, altered, removed, or foreign.
        what: The thing by its name, such as ``index orders.one_order_per_source``.
        why: What exactly differs.
        run: Makes it so; None where nothing can or may be done.
    """

    change: Change
    what: str
    why: str = ""
    run: Callable[[DB], Awaitable[None]] | None = None

    def __str__(self) -> str:
        return f"{self.change} {self.what}" + (f": {self.why}" if self.why else "")
