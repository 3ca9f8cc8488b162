"""What ``plan`` finds: one step for each difference between what is declared and what is live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bson import json_util

if TYPE_CHECKING:
    from crm.database.client import MongoDatabase

    DB = MongoDatabase[dict[str, Any]]


class Change(StrEnum):
    """What a step does; its value is the sign that ``crm db plan`` prints."""

    ADD = "+"
    ALTER = "~"
    REMOVE = "-"
    FOREIGN = "?"  # there by someone else's hand; reported, never touched
    WAIT = "="  # as it should be for now; a later release goes on


@dataclass(frozen=True, slots=True)
class Step:
    """One difference between what is declared and what is live.

    Attributes:
        change: Added, altered, removed, or foreign.
        what: The thing by its name, such as ``index orders.one_order_per_source``.
        why: What exactly differs.
        run: Makes it so; None where nothing can or may be done.
        tightens: Whether it refuses what the version before may do, or takes away what that one uses: left for later
            while both run.
    """

    change: Change
    what: str
    why: str = ""
    run: Callable[[DB], Awaitable[None]] | None = None
    tightens: bool = False

    @property
    def differs(self) -> bool:
        """Whether something is not as declared."""
        return self.change is not Change.WAIT

    def __str__(self) -> str:
        return f"{self.change} {self.what}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class Live:
    """What the database has now."""

    collections: Mapping[str, dict[str, Any]]
    indexes: Mapping[str, dict[str, dict[str, Any]]]
    roles: Mapping[str, dict[str, Any]]
    users: Mapping[str, dict[str, Any]]


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same to MongoDB, whatever the order of their keys."""
    return canonical(one) == canonical(other)


def canonical(value: Any) -> str:
    """A text that is the same for values that are."""
    return json_util.dumps(value, sort_keys=True)
