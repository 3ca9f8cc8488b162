"""Keyset pages: which lists are allowed, cursors that nobody can bend, and each document on exactly one page."""

from __future__ import annotations

import base64
import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.database.paging import (
    Listing,
    Listings,
    PageRequest,
    after,
    beyond,
    cursor_position,
    page_of,
)
from crm.database.query import Query
from crm.errors import UnreadableRequest

pytestmark = pytest.mark.fast

Row = dict[str, Any]
MORNING = datetime(2026, 1, 31, 8, tzinfo=UTC)

LISTINGS = Listings(
    allowed=(
        Listing(frozenset(), ("placed_at", "total")),
        Listing(frozenset({"status"}), ("placed_at",)),
        Listing(frozenset({"source", "external_id"}), ("placed_at",)),
        Listing(frozenset({"last_name"}), ("last_name",), ascending=True),
    ),
    ranges={"after": "placed_at", "before": "placed_at"},
    stored={"last_name": "last_name_key", "total": "_id"},
)


def position_by(sort: str) -> Callable[[Row], tuple[Any, str]]:
    return lambda row: (row[sort.removeprefix("-")], row["_id"])


# -- which lists are allowed


@pytest.mark.parametrize(
    ("filters", "sort", "stored"),
    [
        ({}, None, "-placed_at"),
        ({}, "placed_at", "placed_at"),
        ({}, "-total", "-_id"),
        ({"status": None}, None, "-placed_at"),
        ({"status": "paid"}, "placed_at", "placed_at"),
        ({"source": "a", "external_id": "b"}, None, "-placed_at"),
        ({"last_name": "x"}, None, "last_name_key"),
        ({"last_name": "x"}, "-last_name", "-last_name_key"),
        ({"after": MORNING}, None, "-placed_at"),
        ({"after": MORNING, "before": MORNING, "status": "paid"}, "placed_at", "placed_at"),
    ],
)
def test_an_allowed_list_is_sorted_by_a_stored_field(filters: Mapping[str, Any], sort: str | None, stored: str) -> None:
    assert LISTINGS.choose(filters, sort) == stored


def test_false_is_a_filter_and_none_is_not() -> None:
    listings = Listings(allowed=(Listing(frozenset({"attached"}), ("placed_at",)),))
    assert listings.choose({"attached": False}, None) == "-placed_at"
    with pytest.raises(UnreadableRequest):
        listings.choose({"attached": None}, None)


@pytest.mark.parametrize(
    ("filters", "sort", "pointers"),
    [
        ({"status": "paid"}, "total", ["status"]),
        ({"status": "paid", "last_name": "x"}, None, ["last_name", "status"]),
        ({"source": "a"}, None, ["source"]),
        ({}, "unknown", ["sort"]),
        ({}, "--placed_at", ["sort"]),
        ({}, "$where", ["sort"]),
        ({}, "last_name_key", ["sort"]),
        ({"after": MORNING}, "total", ["after"]),  # bounds the other field: no index serves that
        ({"after": MORNING, "last_name": "x"}, None, ["after", "last_name"]),
    ],
)
def test_any_other_list_is_refused_with_the_allowed_ones_named(
    filters: Mapping[str, Any], sort: str | None, pointers: list[str]
) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        LISTINGS.choose(filters, sort)
    assert LISTINGS.describe() in caught.value.detail
    assert [error.pointer for error in caught.value.errors] == pointers
    assert "unknown" not in caught.value.detail


def test_the_allowed_lists_in_words() -> None:
    assert LISTINGS.describe() == (
        "no filter sorted by placed_at or -placed_at or total or -total; "
        "status sorted by placed_at or -placed_at; "
        "external_id + source sorted by placed_at or -placed_at; "
        "last_name sorted by last_name or -last_name; "
        "after, before with any that sorts by placed_at"
    )


# -- cursors


def encoded(*parts: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def cursor_after(row: Row, sort: str) -> str:
    page = page_of([row, row], sort, PageRequest(limit=1), position_by(sort))
    assert page.next_cursor is not None
    return page.next_cursor


_SORTS = st.sampled_from(["-placed_at", "placed_at", "_id", "-_id", "last_name_key"])
_times = st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000)
)


@given(_times, st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=100)
def test_a_cursor_is_read_back_as_it_was_written(at: datetime, text: str, last_id: str) -> None:
    row = {"placed_at": at, "last_name_key": text, "_id": last_id}
    assert cursor_position(cursor_after(row, "-placed_at"), "-placed_at") == (at, last_id)
    assert cursor_position(cursor_after(row, "last_name_key"), "last_name_key") == (text, last_id)
    assert cursor_position(None, "-placed_at") is None


@pytest.mark.parametrize("other", ["placed_at", "-created_at", "_id", "-at"])
def test_a_cursor_of_another_order_is_refused(other: str) -> None:
    with pytest.raises(UnreadableRequest):
        cursor_position(cursor_after({"placed_at": MORNING, "_id": "x"}, "-placed_at"), other)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "ü",
        "\x00",
        "====",
        "not base64!",
        encoded(),
        encoded("-placed_at", "t", "2026-01-31T12:00:00+00:00"),
        encoded("-placed_at", "t", "2026-01-31T12:00:00+00:00", "x", "y"),
        encoded("-placed_at", "t", "2026-01-31T12:00:00", "x"),  # naive
        encoded("-placed_at", "t", "0001-01-01T00:00:00+23:59", "x"),
        encoded("-placed_at", "t", "9999-12-31T23:59:59-23:59", "x"),
        encoded("-placed_at", "t", "yesterday", "x"),
        encoded("-placed_at", "", "2026-01-31T12:00:00+00:00", "x"),
        encoded("-placed_at", "ts", "2026-01-31T12:00:00+00:00", "x"),
        encoded("-placed_at", "s", "2026-01-31T12:00:00+00:00", "x"),  # a text sorts before every date
        encoded("-placed_at", "t", {"$gt": ""}, "x"),
        encoded("-placed_at", "t", "2026-01-31T12:00:00+00:00", {"$gt": ""}),
        encoded("-placed_at", "t", 5, "x"),
        base64.urlsafe_b64encode(b'["-placed_at","t","2026-01-31T12:00:00+00:00","\\ud800"]').decode(),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    ],
)
def test_a_cursor_that_was_tampered_with_is_refused(cursor: str) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        cursor_position(cursor, "-placed_at")
    assert [error.pointer for error in caught.value.errors] == ["cursor"]


def _harmless(cursor: str, sort: str) -> None:
    try:
        position = cursor_position(cursor, sort)
    except UnreadableRequest:
        return
    assert position is not None
    value, last_id = position
    assert isinstance(value, datetime if sort.endswith("_at") else str)
    assert isinstance(last_id, str)


@given(st.text(max_size=200) | st.text(st.characters(codec="ascii"), max_size=200), _SORTS)
@settings(max_examples=100)
def test_no_text_as_a_cursor_raises_anything_else(cursor: str, sort: str) -> None:
    _harmless(cursor, sort)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_kinds = st.sampled_from(["t", "s", "", "ts", "x"])
_almost_times = st.datetimes(timezones=st.sampled_from([None, UTC])).map(datetime.isoformat) | st.text(max_size=12)


@given(_SORTS, st.data())
@settings(max_examples=120)
def test_no_forged_cursor_raises_anything_else(sort: str, data: st.DataObject) -> None:
    forged = data.draw(st.tuples(st.just(sort) | _SORTS, _kinds, _almost_times, st.text(max_size=5)) | _json)
    _harmless(base64.urlsafe_b64encode(msgspec.json.encode(forged)).decode().rstrip("="), sort)


# -- each document on exactly one page

_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "$lt": operator.lt,
    "$lte": operator.le,
    "$gt": operator.gt,
    "$gte": operator.ge,
}


def matches(row: Row, filter_: Mapping[str, Any]) -> bool:
    """What MongoDB would say, as far as keysets go; an operator that is not known fails loudly."""
    for key, wanted in filter_.items():
        if key == "$and":
            ok = all(matches(row, part) for part in wanted)
        elif key == "$or":
            ok = any(matches(row, part) for part in wanted)
        elif isinstance(wanted, Mapping):
            ok = all(_COMPARED[name](row[key], value) for name, value in wanted.items())
        else:
            ok = row[key] == wanted
        if not ok:
            return False
    return True


def run(rows: Sequence[Row], query: Query) -> list[Row]:
    found = [row for row in rows if matches(row, query.filter)]
    for field, direction in reversed(query.sort):
        found.sort(key=lambda row: row[field], reverse=direction == -1)
    return found[: query.limit] if query.limit else found


_rows = st.lists(
    st.builds(
        lambda minute, name, status: {"placed_at": MORNING + timedelta(minutes=minute), "name": name, "status": status},
        st.integers(0, 3),
        st.sampled_from(["", "a", "b", "ä", "李"]),
        st.sampled_from(["paid", "paid", "pending"]),
    ),
    max_size=25,
).map(lambda rows: [{**row, "_id": f"ord_{n * 7919 % 1000:03d}"} for n, row in enumerate(rows)])


@given(
    _rows,
    st.sampled_from(["placed_at", "-placed_at", "name", "-name", "_id", "-_id"]),
    st.sampled_from([{}, {"status": "paid"}]),
    st.integers(1, 7),
)
@settings(max_examples=120)
def test_walking_the_pages_yields_each_document_once_in_order(
    rows: list[Row], sort: str, filter_: Row, limit: int
) -> None:
    expected = run(rows, beyond(filter_, sort, None, 0))
    walked: list[Row] = []
    cursor, last = None, False
    for _ in range(len(rows) + 1):
        request = PageRequest(limit=limit, cursor=cursor)
        page = page_of(run(rows, after(filter_, sort, request)), sort, request, position_by(sort))
        assert len(page.items) <= limit
        assert page.items or not expected, "an empty page behind the last"
        walked += page.items
        cursor, last = page.next_cursor, page.next_cursor is None
        if last:
            break
    assert last, "the walk never ends"
    assert walked == expected
    assert sorted(r["_id"] for r in walked) == sorted(r["_id"] for r in rows if matches(r, filter_))


@given(_rows, st.sampled_from(["placed_at", "-placed_at"]), st.integers(1, 4), st.data())
@settings(max_examples=100)
def test_a_walk_misses_nothing_that_was_there_all_the_time(
    rows: list[Row], sort: str, limit: int, data: st.DataObject
) -> None:
    """Documents come and go between two pages; what stayed is seen exactly once."""
    gone = {row["_id"] for row in data.draw(st.lists(st.sampled_from(rows), max_size=5) if rows else st.just([]))}
    request = PageRequest(limit=limit)
    first = page_of(run(rows, after({}, sort, request)), sort, request, position_by(sort))
    left = [row for row in rows if row["_id"] not in gone]
    left.append({"_id": "ord_new", "placed_at": MORNING + timedelta(minutes=1), "name": "", "status": "paid"})
    rest = run(left, after({}, sort, PageRequest(200, first.next_cursor))) if first.next_cursor else []
    seen = [row["_id"] for row in (*first.items, *rest)]
    assert len(seen) == len(set(seen))
    assert {row["_id"] for row in left} - {"ord_new"} <= set(seen)


def test_a_page_asks_for_one_more_and_starts_its_index_at_the_position() -> None:
    query = after({"status": "paid"}, "-placed_at", PageRequest(limit=20))
    assert query == Query({"status": "paid"}, (("placed_at", -1), ("_id", -1)), 21)
    further = beyond({"status": "paid"}, "-placed_at", (MORNING, "ord_1"), 21)
    assert {"placed_at": {"$lte": MORNING}} in further.filter["$and"]


def test_a_page_in_another_shape_keeps_its_cursor_and_count() -> None:
    page = page_of([{"_id": "1"}, {"_id": "2"}], "_id", PageRequest(limit=1), lambda r: (r["_id"], r["_id"]))
    shaped = page.map(lambda row: row["_id"])
    assert (shaped.items, shaped.next_cursor, shaped.count) == (["1"], page.next_cursor, None)
