"""What a document class reads and writes, the server's schema accepts; what the class refuses, so does the server.

Rows start valid and get up to three mutations. Reading is lax where writing is not (an int is read as a Decimal, a
missing list as an empty one, spaces around a phone are dropped): such rows are read into a document that would be
stored in another shape, so acceptance is compared only where ``as_stored()`` writes exactly the row, type for type.
Whatever the class refuses, the server must refuse in any case. Unknown fields are not drawn: reading ignores them and
the server refuses them (``test_refusals.py``). Rules across fields are left out: they are no part of the class.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from bson import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pymongo.database import Database as PyMongoDatabase

from crm.contracts import contract
from crm.database.contract import CollectionContract
from crm.database.driver import Database, acting_as
from crm.fields import EARLIEST, LATEST
from crm.identity import Role
from tests.fixtures.rows import ROWS, Row, amount
from tests.fixtures.scratch import scratch

pytestmark = pytest.mark.mongo

CONTRACTS: Mapping[str, CollectionContract] = {c.name: c for c in contract().collections}
Path = tuple[str | int, ...]
DROPPED: Final = object()
MILLISECOND: Final = timedelta(milliseconds=1)
#: One below and one above are drawn too, so that each limit of a text is met exactly.
LENGTHS: Final = (20, 32, 40, 64, 100, 200, 254, 300, 1000, 2000, 8000, 10_000, 32_768)
AMOUNTS: Final = "0 -0 0.01 -0.01 1E+15 1000000000000000.1 -1E+15 1E-6176 1E+6144 NaN sNaN Infinity -Infinity"
ANYTHING: Final = (
    *(DROPPED, None, True, False, 0, 1, -1, 1.0, 1.5, -0.0, math.nan, math.inf, -math.inf, "", "1", "x", b"x"),
    *(2**31 - 1, 2**31, 2**31 + 1, 2**53, 2**53 + 1, -(2**53), -(2**53) - 1, 2**63 - 1, 1_000_000, 1_000_001),
    *map(amount, AMOUNTS.split()),
    *(EARLIEST, EARLIEST - MILLISECOND, LATEST, LATEST - MILLISECOND, datetime(9999, 12, 31, tzinfo=UTC)),
    *("2026-01-31T12:00:00Z", ObjectId("65ba37a0f0f0f0f0f0f0f0f0"), [], {}, [1], {"x": 1}, [[]], [{}]),
)
CHARACTERS: Final = "aZ0@.-_+ \t\n\r\v\0\x1c\u0085\u00a0\u2003\u2028éßİ١²😀\u0301"
TEXT = st.text(st.sampled_from(CHARACTERS), max_size=6)


def near(now: Any, path: Path) -> list[Any]:
    """What to put in a value's place: something else altogether, or something that is nearly the same."""
    if isinstance(now, str):
        return [*ANYTHING, *_near_text(now)]
    if isinstance(now, list):
        counts = [2, 100, 101, 200, 201] + ([1000, 1001] if path in {("items",), ("consents",)} else [])
        return [*ANYTHING, *([*now, *now[:1] * (count - len(now))] for count in counts if now)]
    if isinstance(now, dict) and path[-1] in {"attributes", "properties"}:
        names = ("a", "a-B_9", "x" * 64, "x" * 65, "", "a b", "a.b", "$a", "é", "a\n", "名")
        return [
            *ANYTHING,
            *({**now, name: "x"} for name in names),
            *({f"a{i}": i for i in range(count)} for count in (100, 101)),
        ]
    return list(ANYTHING)


def _near_text(now: str) -> Iterator[str]:
    yield from (now.upper(), now.lower(), now.title(), now[:-1], now[1:], now.replace("@", "@@"))
    for character in CHARACTERS:
        yield from (now + character, character + now, f"{now[:1]}{character}{now[1:]}", character, character * 3)
    for length in LENGTHS:
        for exact in (length - 1, length, length + 1):
            yield from ((now + "x" * exact)[:exact], "😀" * exact)


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where a row has values, at any depth."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*path, key))


def put(row: Row, path: Path, value: Any) -> Row:
    """The row with another value there."""
    row = copy.deepcopy(row)
    holder: Any = row
    for key in path[:-1]:
        holder = holder[key]
    if value is DROPPED:
        del holder[path[-1]]
    else:
        holder[path[-1]] = copy.deepcopy(value)
    return row


def at(row: Row, path: Path) -> Any:
    value: Any = row
    for key in path:
        value = value[key]
    return value


@st.composite
def near_valid(draw: st.DrawFn, base: Row) -> Row:
    """A valid row with two or three of its values dropped or replaced."""
    row = base
    for _ in range(draw(st.integers(2, 3))):
        there = list(paths(row))
        if there:
            path = draw(st.sampled_from(there))
            now = at(row, path)
            values = st.sampled_from(near(now, path))
            row = put(row, path, draw(values | TEXT if isinstance(now, str) else values))
    return row


def same(one: Any, other: Any) -> bool:
    """Equal type for type: 1 is not True, 1.0 is not 1, and 1.50 is not 1.5."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return repr(one) == repr(other)


class Server:
    """A collection for each class, with its schema as the only rule."""

    def __init__(self, root: PyMongoDatabase[Row]) -> None:
        self._root = root
        for name, declared in CONTRACTS.items():
            across = [rule.clause() for rule in declared.rules]
            clauses = [clause for clause in declared.validator()["$and"] if clause not in across]
            root.create_collection(name, validator={"$and": clauses})

    def accepts(self, name: str, rows: Sequence[Row]) -> list[bool]:
        """Whether each row could be stored; none is kept. Ids are the rows' own, so one batch has none twice."""
        quick = {"w": 1, "j": False}
        # The command itself, since insert_many would give a row without an id one.
        answer = self._root.command("insert", name, documents=list(rows), ordered=False, writeConcern=quick)
        refused = {error["index"]: error["code"] for error in answer.get("writeErrors", [])}
        assert set(refused.values()) <= {121, 53}, "refused by its schema, or for an _id that can be none"
        self._root.command("delete", name, deletes=[{"q": {}, "limit": 0}], writeConcern=quick)
        return [index not in refused for index in range(len(rows))]


@pytest.fixture(scope="module")
def server(root_uri: str) -> Iterator[Server]:
    with scratch(root_uri, "parity") as store:
        yield Server(store.root)


def differences(name: str, rows: Sequence[Row], server: Server, database: Database) -> list[str]:
    """A sentence on each row of which the class and the server think otherwise."""
    found = []
    with acting_as(database, Role.ADMIN):
        for row, accepted in zip(rows, server.accepts(name, rows), strict=True):
            try:
                document = CONTRACTS[name].document.from_row(row)
            except ValidationError as refusal:
                if accepted:
                    found.append(f"only the class refuses {row}: {refusal}")
            else:
                if not accepted and same(document.as_stored(), row):
                    found.append(f"only the server refuses {row}")
    return found


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_valid_row_is_read_and_written_as_it_is(name: str, server: Server, database: Database) -> None:
    row = ROWS[name]()
    with acting_as(database, Role.ADMIN):
        assert same(CONTRACTS[name].document.from_row(row).as_stored(), row)
    assert server.accepts(name, [row]) == [True]


@pytest.mark.parametrize("name", CONTRACTS)
def test_class_and_server_agree_on_every_single_change(name: str, server: Server, database: Database) -> None:
    base = ROWS[name]()
    for path in paths(base):
        values = near(at(base, path), path)
        rows = [put({**base, "_id": f"{base['_id']}_{i}"}, path, value) for i, value in enumerate(values)]
        if path == ("_id",):  # one at a time: values that are equal to the server would be duplicates
            assert [d for row in rows for d in differences(name, [row], server, database)] == []
        else:
            assert differences(name, rows, server, database) == []


@pytest.mark.parametrize("name", CONTRACTS)
def test_class_and_server_agree_on_changes_together(name: str, server: Server, database: Database) -> None:
    @settings(max_examples=150)
    @given(near_valid(ROWS[name]()))
    def compare(row: Row) -> None:
        assert differences(name, [row], server, database) == []

    compare()
