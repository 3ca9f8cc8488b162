"""Whom one line of text finds: small reads at the same time, each of one index.

How many documents they look at is bounded (``MOST_EXAMINED``), whatever is typed and however many customers there are.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from itertools import chain
from typing import Final

from crm import contact
from crm.customers import keys, names, queries
from crm.customers.documents import Customer
from crm.database.collection import Row
from crm.database.query import Query

MOST_FOUND: Final = 100
#: Documents that one search may look at, orders included.
MOST_EXAMINED: Final = 200
#: Something may be called so in several systems: of customers, of orders by number, of orders by id, as many are read.
MOST_CALLED: Final = 5
#: Of more than two words the longest two are looked up, and the others are looked for among so many.
_CANDIDATES: Final = 100
#: The end of a telephone number has five digits, or says nothing; what two spellings of one share has seven.
_ENDING: Final = 5
_SHARED: Final = 7
#: An ending that says as much as a whole number: only the country is left to be guessed.
_NATIONAL: Final = 9
#: A telephone number, alone or in a link.
_NUMBER: Final = re.compile(r"(?:tel:)?([\d\s()+./-]+)", re.IGNORECASE)
#: An address within something longer: behind a name, in brackets, in a link.
_ADDRESS: Final = re.compile(r"(?:mailto:)?([^\s<>()\[\]\"',;:]+@[^\s<>()\[\]\"',;:@?]+)", re.IGNORECASE)
_OURS: Final = re.compile(r"cus_[0-9A-Za-z]{1,64}")

Owners = Callable[[str, int], Awaitable[Sequence[str]]]
"""Whose the orders are of a number, or an id in any system: text, and how many of each at most → customer ids."""
Reading = tuple[str, ...]


class Rank(IntEnum):
    """Why somebody is found, the best reason first."""

    ID = 0
    EMAIL = 1
    CALLED = 2
    PHONE = 3
    NAME = 4
    ADDRESSEE = 5
    BEGINNING = 6


@dataclass(frozen=True, slots=True)
class Typed:
    """What somebody has typed, in the ways in which it can be read.

    Attributes:
        text: Without spaces around it.
        email_key: Of an e-mail address.
        email_beginning: What an e-mail address may begin with.
        phone_keys: Search keys of a telephone number, as with its country code as it may be stored without.
        phone_ending: What the search key of a number may begin with.
        readings: The words of a name: as hyphens and apostrophes separate them, and as if there were none.
    """

    text: str
    email_key: str | None = None
    email_beginning: str | None = None
    phone_keys: tuple[str, ...] = ()
    phone_ending: str | None = None
    readings: tuple[Reading, ...] = ()


def read(text: str, phone_region: str | None) -> Typed:
    """Understand it. Pure.

    Args:
        text: As typed.
        phone_region: Country of phone numbers without a country code.
    """
    text = text.strip()
    beginning = contact.folded(text) if len(text.split()) == 1 else None
    plain = contact.plainly(text)
    if "@" in plain:
        address = _address(plain)
        return Typed(text, email_key=_email_key(address), email_beginning=contact.folded(address))
    if number := _NUMBER.fullmatch(contact.without_extension(plain)):
        digits = number[1]
        ending = keys.phone_ending(digits) or ""
        if len(ending) <= _ENDING:
            return Typed(text, email_beginning=beginning)
        whole = keys.phone_ending(contact.phone_key(digits, phone_region) or "") or ending
        shorter = (whole[:length] for length in range(1 + _SHARED, len(whole)))
        return Typed(text, email_beginning=beginning, phone_keys=(whole, *shorter), phone_ending=ending)
    pieces = names.pieces(text)
    apart, together = tuple(chain.from_iterable(pieces)), tuple(map(names.joined, pieces))
    return Typed(text, email_beginning=beginning, readings=tuple(dict.fromkeys((apart, together))) if apart else ())


def in_full(typed: Typed) -> Typed:
    """Without beginnings and endings of addresses and numbers, for whoever is not to guess them letter by letter."""
    whole = typed.phone_ending if len(typed.phone_ending or "") > _NATIONAL else None
    return replace(typed, email_beginning=None, phone_ending=whole)


async def find(typed: Typed, limit: int, owners: Owners) -> tuple[list[Row], bool]:
    """The customers who are meant, the best first, among equals whoever did something last.

    Each read may give one more than is asked for, which tells whether there are more.

    Args:
        typed: What was typed.
        limit: Most customers, up to ``MOST_FOUND``.
        owners: Asks the orders.

    Returns:
        The customers, and whether there may be more.
    """
    if not typed.text:
        return [], False
    exact = (_read(rank, query) for rank, query in _exact(typed, limit + 1))
    found = await asyncio.gather(_of_orders(typed, owners), *exact)
    reads = list(_beginnings(typed))
    so_far = [row["_id"] for one in found for _, row in one.ranked]
    if reads and len(set(so_far)) <= limit:
        left = MOST_EXAMINED - 2 * MOST_CALLED - len(so_far)
        most = min(_CANDIDATES if any(map(_has_more, typed.readings)) else limit + 1, left // len(reads))
        found += await asyncio.gather(*(_read(rank, query.limited(most)) for rank, query in reads))
    best = _best([*chain.from_iterable(one.ranked for one in found)], typed)
    return best[:limit], len(best) > limit or any(one.is_full for one in found)


@dataclass(frozen=True, slots=True)
class _Found:
    """What one read gave, and whether that was as much as it may."""

    ranked: list[tuple[Rank, Row]]
    is_full: bool


async def _of_orders(typed: Typed, owners: Owners) -> _Found:
    customer_ids = await owners(typed.text, MOST_CALLED)
    read = await _read(Rank.CALLED, queries.whole(customer_ids)) if customer_ids else _Found([], is_full=False)
    return replace(read, is_full=len(customer_ids) >= MOST_CALLED)


async def _read(rank: Rank, query: Query) -> _Found:
    rows = await Customer.stored().find(query)
    # A limit of one is that of what is unique.
    return _Found([(rank, row) for row in rows], is_full=len(rows) == query.limit > 1)


def _exact(typed: Typed, limit: int) -> Iterator[tuple[Rank, Query]]:
    """The reads of those whom the text names."""
    yield Rank.CALLED, queries.called(typed.text, MOST_CALLED)
    if _OURS.fullmatch(typed.text):
        yield Rank.ID, queries.whole_of(typed.text)
    if typed.email_key:
        yield Rank.EMAIL, queries.with_email(typed.email_key)
    if typed.phone_keys:
        yield Rank.PHONE, queries.with_search_keys(typed.phone_keys, limit)
    if full := [_key(words) for words in typed.readings if not _has_more(words)]:
        yield Rank.NAME, queries.with_search_keys(full, limit)


def _beginnings(typed: Typed) -> Iterator[tuple[Rank, Query]]:
    """The reads of those whose name, address or number may be meant, without their limit."""
    if typed.readings:
        ranges = dict.fromkeys(chain.from_iterable(map(_key_beginnings, typed.readings)))
        yield Rank.NAME, queries.with_search_keys_like(list(ranges))
    if typed.email_beginning:
        yield Rank.BEGINNING, queries.with_email_like(typed.email_beginning)
    if typed.phone_ending:
        yield Rank.BEGINNING, queries.with_search_keys_like([typed.phone_ending])


def _best(found: Sequence[tuple[Rank, Row]], typed: Typed) -> list[Row]:
    """Each once, by the best reason."""
    ranked = [(_of_name(row, typed) if rank is Rank.NAME else rank, row) for rank, row in found]
    fitting = [(rank, row) for rank, row in ranked if rank is not None]
    best: dict[str, Row] = {}
    for _, row in sorted(fitting, key=lambda one: (one[0], -_latest(one[1]).timestamp())):
        best.setdefault(row["_id"], row)
    return list(best.values())


def _of_name(row: Row, typed: Typed) -> Rank | None:
    """How well a customer's name fits, all words and their full length considered; None where it does not.

    After their own come the names to which their parcels go.
    """
    words = set(keys.words_of(row.get("search_keys") or ()))
    if any(words.issuperset(reading) for reading in typed.readings):
        own = words if not row.get("addresses") else set(keys.own_words(row))
        return Rank.NAME if any(own.issuperset(reading) for reading in typed.readings) else Rank.ADDRESSEE
    begun = any(all(any(word.startswith(b) for word in words) for b in reading) for reading in typed.readings)
    return Rank.BEGINNING if begun else None


def _latest(row: Row) -> datetime:
    changed: datetime = row["updated_at"]
    ordered: datetime = row.get("stats", {}).get("last_order_at", changed)
    return max(changed, ordered)


def _has_more(words: Reading) -> bool:
    return len(words) > 2


def _key(words: Reading) -> str:
    return words[0] if len(words) == 1 else keys.pair(*words)


def _key_beginnings(words: Reading) -> tuple[str, ...]:
    if len(words) == 1:
        return words
    one, other = sorted(words, key=len)[-2:]
    return keys.pair_beginning(one, other), keys.pair_beginning(other, one)


def _address(text: str) -> str:
    """The address in a text, or the whole text where it has none by itself, as one with a quoted name before the @."""
    found = _ADDRESS.search(text)
    return text if _email_key(text) or found is None else found[1].rstrip(".")


def _email_key(text: str) -> str | None:
    try:
        return contact.email_key(text)
    except ValueError:
        return None
