"""What belongs to a customer, and the names that turned out to be theirs, as they are shown. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crm.database.paging import Position
from crm.identities import names
from crm.identities.documents import Kind


@dataclass(frozen=True, slots=True)
class Linked:
    """That a name belongs to a customer.

    Attributes:
        id: Of the identity.
        at: Since when it is linked.
        kind: What the name is.
        source: Whose user or visitor; None for an address.
        value: The name as sent.
    """

    id: str
    at: datetime
    kind: Kind
    source: str | None
    value: str


@dataclass(frozen=True, slots=True)
class Belonging:
    """All that belongs to a customer.

    Attributes:
        ids: The customer's own id, then those of users, addresses and browsers.
        links: The names that were linked to the customer, the last one first.
    """

    ids: list[str]
    links: list[Linked]

    def links_behind(self, position: Position | None, limit: int) -> list[Linked]:
        """Those behind a position in time."""
        return [link for link in self.links if position is None or (link.at, link.id) < position][:limit]


def links_of(roots: Collection[str], reached: Mapping[str, Mapping[str, Any]]) -> list[Linked]:
    """The names that were linked to a customer, the last one first; each once.

    An alias does not say whether the former name is a user's or a browser's, so it links both. It is a user's if the
    customer is known by it or a browser led to it; else a browser's, which is what aliases are for.

    Args:
        roots: Identities that are the customer's by name.
        reached: Identities whose first links lead to these, as stored.
    """
    users = {*roots, *(row["first"] for row in reached.values())}
    hidden = set()
    for key, row in reached.items():
        if row["kind"] == "visitor":
            namesake = names.of_user(row["source"], row["value"])
            hidden.add(key if namesake in users else namesake)
    shown = (
        Linked(key, row["linked_at"].astimezone(UTC), row["kind"], row.get("source"), row["value"])
        for key, row in reached.items()
        if key not in hidden
    )
    return sorted(shown, key=lambda link: (link.at, link.id), reverse=True)
