"""Keyset pages: each page starts after the last document of the one before; no skip, no count.

Which filters and orders a list allows is data (:class:`Listings`), and each pair is served by an index that a test
proves; any other pair is refused with the allowed ones named.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

import msgspec

from crm.database.query import Filter, Query
from crm.errors import FieldError, UnreadableRequest
from crm.fields import EARLIEST, LATEST

T = TypeVar("T")
LARGEST_PAGE: Final = 200
COUNT_CAP: Final = 10_000
_LARGEST_NUMBER: Final = 2**53
#: Sorted fields that no two documents of a list share: a list of versions is one document's.
_WITHOUT_TIES: Final = frozenset({"_id", "version"})
Position = tuple[Any, str]
"""Where a page ends: the sorted field's value and the id of the last document."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page.

    Attributes:
        items: At most ``limit`` items.
        next_cursor: Where the next page starts; None on the last.
        count: How many match in all, counted no further than one past ``COUNT_CAP``; None unless asked for.
        truncated: Of what no page follows: whether there may be more than are shown; None of any other list.
    """

    items: list[T]
    next_cursor: str | None = None
    count: int | None = None
    truncated: bool | None = None

    def map(self, shape: Callable[[T], Any]) -> Page[Any]:
        """The same page with each item in another shape."""
        return replace(self, items=[shape(item) for item in self.items])


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a client asks of a list.

    Attributes:
        limit: 1 to 200.
        cursor: From the page before.
        sort: ``field`` or ``-field``; None is the list's default.
        count: Whether to count.
    """

    limit: int = 50
    cursor: str | None = None
    sort: str | None = None
    count: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A set of filters and the orders in which an index can serve it.

    Attributes:
        filters: Names of the filters that are given together.
        sorts: Fields to sort by; each serves both directions. The first, descending unless ``ascending``, is default.
        ascending: Whether the default order is ascending.
        one_way: Whether there is the default order only.
    """

    filters: frozenset[str]
    sorts: tuple[str, ...]
    ascending: bool = False
    one_way: bool = False

    def default_sort(self) -> str:
        """The order when none is asked for."""
        return self.sorts[0] if self.ascending else f"-{self.sorts[0]}"

    def all_sorts(self) -> list[str]:
        """Every order it serves."""
        if self.one_way:
            return [self.default_sort()]
        return [sign + name for name in self.sorts for sign in ("", "-")]


@dataclass(frozen=True, slots=True)
class Listings:
    """All that one list allows.

    Attributes:
        allowed: Each allowed set of filters.
        ranges: Filters that may be added to any set because they bound the sorted field: filter → sorted field.
        stored: Sorted field → the stored field that holds its key, where that is another.
        ranked: A parameter that stands alone and says the order itself: a search; no page follows.
        further: What stands for filters that are defined while the service runs, for a description.
    """

    allowed: tuple[Listing, ...]
    ranges: Mapping[str, str] = field(default_factory=dict)
    stored: Mapping[str, str] = field(default_factory=dict)
    ranked: str | None = None
    further: tuple[Listing, ...] = ()

    def choose(self, filters: Mapping[str, Any], sort: str | None) -> str:
        """The stored field to sort by (with a leading minus for descending) for the filters that are given.

        Raises:
            UnreadableRequest: No index serves the pair; the text names the allowed ones.
        """
        given = {name for name, value in filters.items() if value is not None}
        bounds = given & set(self.ranges)
        for listing in self.allowed:
            if listing.filters == given - bounds:
                chosen = sort or listing.default_sort()
                if chosen in listing.all_sorts() and all(self.ranges[b] == chosen.lstrip("-") for b in bounds):
                    name = chosen.lstrip("-")
                    return chosen.replace(name, self.stored.get(name, name))
        raise UnreadableRequest(
            f"No index serves this filter and order. Allowed: {self.describe()}.",
            errors=tuple(FieldError(name, "This combination is not indexed.") for name in sorted(given) or ["sort"]),
        )

    def reachable(self, path: Collection[str], query: Collection[str]) -> list[Listing]:
        """What is left of it where some filters are always given, by the path, and only some others can be."""
        always = {name for listing in self.allowed for name in listing.filters if name in path}
        return [listing for listing in self.allowed if always <= listing.filters <= always | set(query)]

    def describe(self) -> str:
        """The allowed pairs in words."""
        parts = []
        for listing in self.allowed:
            names = " + ".join(sorted(listing.filters)) or "no filter"
            parts.append(f"{names} sorted by {' or '.join(listing.all_sorts())}")
        if self.ranges:
            parts.append(
                f"{', '.join(sorted(self.ranges))} with any that sorts by {', '.join(set(self.ranges.values()))}"
            )
        if self.ranked:
            parts.append(f"{self.ranked} alone, ranked by how well it fits")
        return "; ".join(parts)


def after(filter_: Filter, sort: str, request: PageRequest) -> Query:
    """The query of a page, one document longer than the page."""
    position = _decode(request.cursor, sort) if request.cursor is not None else None
    return beyond(filter_, sort, position, request.limit + 1)


def beyond(filter_: Filter, sort: str, position: Position | None, limit: int) -> Query:
    """The documents behind a position (value of the sorted field, id), ``_id`` breaking ties where there can be any.

    ``field <= value`` stands beside the ``$or`` so that the index's bounds start at the position; the ``$or`` alone
    would scan from the list's beginning (measured on 6.0.5).
    """
    name, direction = (sort[1:], -1) if sort.startswith("-") else (sort, 1)
    alone = name in _WITHOUT_TIES
    order = ((name, direction),) if alone else ((name, direction), ("_id", direction))
    if position is None:
        return Query(filter_, order, limit)
    value, last_id = position
    further, up_to = ("$lt", "$lte") if direction == -1 else ("$gt", "$gte")
    if alone:
        keyset: list[Filter] = [{name: {further: last_id if name == "_id" else value}}]
    else:
        keyset = [
            {name: {up_to: value}},
            {"$or": [{name: {further: value}}, {name: value, "_id": {further: last_id}}]},
        ]
    return Query({"$and": [filter_, *keyset] if filter_ else keyset}, order, limit)


def cursor_position(cursor: str | None, sort: str) -> Position | None:
    """The position that a cursor stands for, for lists that are merged from several.

    Raises:
        UnreadableRequest: It is not a cursor of a list in this order.
    """
    return None if cursor is None else _decode(cursor, sort)


def page_of(documents: Sequence[T], sort: str, request: PageRequest, key: Callable[[T], tuple[Any, str]]) -> Page[T]:
    """Cut the one document too many that the query asked for, and say where the next page starts.

    Args:
        documents: What the query returned, at most ``limit + 1``.
        sort: The order.
        request: What was asked for.
        key: The sorted field's value and the id of a document.
    """
    items = list(documents[: request.limit])
    more = len(documents) > request.limit
    return Page(items, _encode(*key(items[-1]), sort) if more and items else None)


def _encode(value: Any, last_id: str, sort: str) -> str:
    kind = "t" if isinstance(value, datetime) else "n" if isinstance(value, int) else "s"
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return base64.urlsafe_b64encode(msgspec.json.encode([sort, kind, text, last_id])).decode().rstrip("=")


def _decode(cursor: str, sort: str) -> Position:
    wrong = UnreadableRequest("This cursor is not one of this list.", errors=(FieldError("cursor", "Not a cursor."),))
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        made_for, kind, text, last_id = msgspec.json.decode(raw, type=tuple[str, str, str, str])
        value = datetime.fromisoformat(text) if kind == "t" else int(text) if kind == "n" else text
    except (ValueError, UnicodeError, binascii.Error, msgspec.MsgspecError):
        raise wrong from None
    # Every stored time is named …_at (or "at"); a text in its place would compare as less than every date.
    of_time, number = f"_{sort.lstrip('-')}".endswith("_at"), sort.endswith(("version", "score"))
    expected = "t" if of_time else "n" if number else "s"
    if made_for != sort or kind != expected or not _storable(value):
        raise wrong
    return value, last_id


def _storable(value: Any) -> bool:
    if isinstance(value, datetime):
        return value.tzinfo is not None and EARLIEST <= value <= LATEST
    return not isinstance(value, int) or 0 <= value <= _LARGEST_NUMBER
