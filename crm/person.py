"""A person, by every name that is known: what features are asked to forget, or to tell all they have. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

Named = tuple[str, str]
"""A system, and what it calls somebody or something."""

Tell = Callable[[str, list[dict[str, Any]]], Awaitable[None]]
"""Hears of what is stored of a person: the name of a file, and documents as they are stored, some at a time."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who is meant. Every name here but the last is theirs alone; a first name or a street is not among them.

    Attributes:
        customers: Our ids: the customer's own, and those that were merged into it.
        emails: Keys of addresses (``crm.contact.email_key``).
        phones: Telephones (``crm.contact.phone_name``).
        users: What other systems call them: external ids and user ids.
        visitors: Browsers.
        identities: Ids of all these as identities.
        orders: Our ids of their orders.
        pushed: The same orders as their sources call them.
        called: Full names, as words (``crm.contact.full_name``): looked for in texts, never to tell who it is.
    """

    customers: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    users: frozenset[Named] = frozenset()
    visitors: frozenset[Named] = frozenset()
    identities: frozenset[str] = frozenset()
    orders: frozenset[str] = frozenset()
    pushed: frozenset[Named] = frozenset()
    called: frozenset[str] = frozenset()

    def with_all(self, other: Person) -> Person:
        """Both, as one."""
        return replace(self, **{f.name: getattr(self, f.name) | getattr(other, f.name) for f in fields(self)})


@dataclass(slots=True)
class Remains:
    """What one look at a part of the store found of people who were erased.

    Attributes:
        people: Whom; empty where there is nobody.
        last: The last id that was looked at; None when there is nothing behind.
        count: How many documents were looked at.
    """

    people: list[Person] = field(default_factory=list)
    last: str | None = None
    count: int = 0
