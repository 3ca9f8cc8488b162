"""Whom a message names that was kept as it was sent: addresses, telephones and ids in any JSON. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from crm import contact
from crm.person import Person

_EMAIL: Final = re.compile(r"[^\s@<>\"'(),:;\[\]]+@[^\s@<>\"'(),:;\[\]]+\.[^\s@<>\"'(),:;\[\]]+")
_PHONE: Final = re.compile(r"\+?[\d\s()./-]{7,40}")
_CUSTOMER: Final = re.compile(r"\bcus_[0-9A-Za-z]{1,64}")
#: Digits of a telephone that two must share at their end, where one of them is written without its country.
_SAME_ENDING: Final = 8
#: The names under which tracking clients and shops send their own ids of people.
_USERS: Final = frozenset({"userid", "user_id", "previousid", "customer_id", "external_customer_id"})
_VISITORS: Final = frozenset({"anonymousid", "anonymous_id"})
_ORDERS: Final = frozenset({"order_id", "orders_to_redact", "orders_requested"})


@dataclass(slots=True)
class Mentions:
    """The names in a message; ids as its sender gives them.

    Attributes:
        created_at: When what it is about was made, where a shop says so.
    """

    customers: set[str] = field(default_factory=set)
    emails: set[str] = field(default_factory=set)
    phones: set[str] = field(default_factory=set)
    users: set[str] = field(default_factory=set)
    visitors: set[str] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)
    created_at: datetime | None = None

    def person(self, source: str) -> Person:
        """Whoever goes by these names, to the system that sent them."""
        return Person(
            customers=frozenset(self.customers),
            emails=frozenset(self.emails),
            phones=frozenset(key for text in self.phones if (key := contact.phone_key(text))),
            users=frozenset((source, user) for user in self.users),
            visitors=frozenset((source, visitor) for visitor in self.visitors),
            pushed=frozenset((source, order) for order in self.orders),
        )

    def of(self, person: Person, source: str) -> bool:
        """Whether it is about a person; a telephone counts where nothing else says whom it is about."""
        sets = ((self.customers, person.customers), (self.emails, person.emails))
        named = (
            (self.users, {user for system, user in person.users if system == source}),
            (self.visitors, {visitor for system, visitor in person.visitors if system == source}),
            (self.orders, {order for system, order in person.pushed if system == source}),
        )
        if any(ours & theirs for ours, theirs in (*sets, *named)):
            return True
        if self.emails or self.users or self.customers:
            return False
        return any(_same_phone(text, key) for text in self.phones for key in person.phones)


def mentions(raw: bytes | str) -> Mentions:
    """The names in a message; of one that is no JSON, the addresses and our own ids."""
    found = Mentions()
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        text = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
        parsed = {"": text}
    for name, value in _leaves("", parsed):
        _look(found, name, value)
    if isinstance(parsed, dict):
        found.created_at = _moment(parsed.get("created_at") or parsed.get("date_created_gmt"))
    return found


def _look(found: Mentions, name: str, text: str) -> None:
    if "@" in text:
        found.emails |= {key for match in _EMAIL.findall(text) if (key := _email_key(match))}
    if "cus_" in text:
        found.customers |= set(_CUSTOMER.findall(text))
    if _PHONE.fullmatch(text):
        found.phones.add(text)
    for names, values in ((_USERS, found.users), (_VISITORS, found.visitors), (_ORDERS, found.orders)):
        if name in names:
            values.add(text)


def _leaves(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Each text and number, under the name of the field it stands in; a customer's own id as ``customer_id``."""
    if isinstance(value, dict):
        for key, inner in value.items():
            own = key.casefold()
            yield from _leaves("customer_id" if own == "id" and name == "customer" else own, inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(name, inner, depth + 1)
    elif isinstance(value, str):
        yield name, value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, str(value)


def _moment(value: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _email_key(text: str) -> str | None:
    try:
        return contact.email_key(text.strip(".-_ "))
    except ValueError:
        return None


def _same_phone(text: str, key: str) -> bool:
    digits = "".join(c for c in text if c.isdecimal()).lstrip("0")
    return len(digits) >= _SAME_ENDING and key.endswith(digits)
