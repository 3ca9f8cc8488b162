"""The names by which somebody who was erased is recognised, and the hashes that are kept of them. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from functools import lru_cache

from crm import contact
from crm.person import Person

#: Bytes of a hash: 128 bits are enough that nobody is taken for somebody else.
DIGEST_SIZE = 16


def of_customer(customer_id: str) -> str:
    """One of our ids."""
    return f"c:{customer_id}"


def of_email(key: str) -> str:
    """An address, by its key (``crm.contact.email_key``)."""
    return f"e:{key}"


def of_phone(key: str) -> str:
    """A telephone (``crm.contact.phone_name``)."""
    return f"p:{key}"


def of_user(source: str, user_id: str) -> str:
    """What a system calls somebody."""
    return f"u:{source}\x00{user_id}"


def of_identity(identity_id: str) -> str:
    """A user, browser or address, by the id of its identity."""
    return f"i:{identity_id}"


def of_order(source: str, external_id: str) -> str:
    """An order, as its source calls it."""
    return f"o:{source}\x00{external_id}"


def all_of(person: Person) -> Iterator[str]:
    """Every name of a person."""
    yield from map(of_customer, person.customers)
    yield from map(of_email, person.emails)
    yield from map(of_phone, person.phones)
    yield from (of_user(*user) for user in person.users)
    yield from map(of_identity, person.identities)
    yield from (of_order(*order) for order in person.pushed)


def all_kept_of(person: Person) -> Iterator[str]:
    """The same, with each telephone as it is written within its country, too.

    Whoever sends a number so does not say in which: it is asked for by its digits alone.
    """
    yield from all_of(person)
    yield from (of_phone(digits) for phone in person.phones if (digits := contact.national(phone)) not in {None, phone})


# 2 µs each (measured); a visitor sends many events, one after the other.
@lru_cache(maxsize=10_000)
def digest(key: bytes, name: str) -> bytes:
    """What is kept of a name: without the key nobody can tell whose it is, or try addresses."""
    return hmac.digest(key, name.encode(), "sha256")[:DIGEST_SIZE]


def key_id(key: bytes) -> str:
    """Tells hashes that were made with one key from those made with another."""
    return hmac.digest(key, b"key", "sha256")[:4].hex()
