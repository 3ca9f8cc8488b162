"""No order from the future: the server compares with its own clock, whoever writes and however."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import Timestamp
from pydantic import TypeAdapter
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, WriteError

from crm.database.failures import translate
from crm.database.ids import SERVER_TIME, ServerTime
from crm.errors import RuleViolated
from tests.fixtures.plain import Writers, plain_writers
from tests.fixtures.rows import ABSENT, MOMENT, Row, order_row
from tests.fixtures.store import Store

FUTURE = "placed_at is not in the future (5 minutes of skew allowed)"
NOT_ALLOWED = "This value is not allowed."
READ: TypeAdapter[datetime] = TypeAdapter(ServerTime)

pytestmark = pytest.mark.mongo


@pytest.fixture(scope="module")
def writers(store: Store) -> Iterator[Writers]:
    with plain_writers(store) as writers:
        yield writers


NOW = {"$currentDate": {"recorded_at": {"$type": "timestamp"}}}


def new(row: Row, placed_at: Any) -> Row:
    """An order as it is inserted: the server puts its own time in the place of an empty timestamp."""
    fields = {key: value for key, value in row.items() if key != "placed_at"}
    if placed_at is not ABSENT:
        fields["placed_at"] = placed_at
    return {**fields, "recorded_at": SERVER_TIME}


def pushed(row: Row, placed_at: Any) -> Row:
    """An update, which may create it: the server's own clock says when it was recorded."""
    fields = {key: value for key, value in new(row, placed_at).items() if key not in {"_id", "recorded_at"}}
    return {"$set": fields, **NOW}


def in_minutes(minutes: int) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=minutes)


#: Made when the test runs: the clock goes on while tests wait for their turn.
WRONG: Mapping[str, tuple[Callable[[], Any], str, str]] = {
    "6 minutes ahead": (lambda: in_minutes(6), "", FUTURE),
    "a year ahead": (lambda: in_minutes(365 * 24 * 60), "", FUTURE),
    "a text": (lambda: "2026-01-31T12:00:00Z", "/placed_at", NOT_ALLOWED),
    "a timestamp": (lambda: Timestamp(1, 1), "/placed_at", NOT_ALLOWED),
    "a number": (lambda: 1, "/placed_at", NOT_ALLOWED),
    "nothing": (lambda: ABSENT, "/placed_at", "This field is required."),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_insert_is_refused(name: str, writers: Writers) -> None:
    placed_at, pointer, says = WRONG[name]
    row = new(order_row(), placed_at())
    with pytest.raises(WriteError) as caught:
        writers["orders"].insert_one(row)
    error = translate(caught.value)
    assert isinstance(error, RuleViolated)
    assert (pointer, says) in [(e.pointer, e.detail) for e in error.errors]
    assert writers["orders"].find_one({"_id": row["_id"]}) is None


@pytest.mark.parametrize("name", WRONG)
def test_an_upsert_is_refused(name: str, writers: Writers) -> None:
    placed_at, pointer, says = WRONG[name]
    row = order_row()
    with pytest.raises(WriteError) as caught:
        writers["orders"].update_one({"_id": row["_id"]}, pushed(row, placed_at()), upsert=True)
    error = translate(caught.value)
    assert isinstance(error, RuleViolated)
    assert (pointer, says) in [(e.pointer, e.detail) for e in error.errors]
    assert writers["orders"].find_one({"_id": row["_id"]}) is None


@pytest.mark.parametrize("name", WRONG)
def test_an_update_is_refused(name: str, writers: Writers) -> None:
    placed_at, pointer, says = WRONG[name]
    row = order_row()
    writers["orders"].insert_one(row)
    change: Row = {"$set": {"placed_at": placed_at()}} if name != "nothing" else {"$unset": {"placed_at": ""}}
    with pytest.raises(WriteError) as caught:
        writers["orders"].update_one({"_id": row["_id"]}, {**change, **NOW})
    error = translate(caught.value)
    assert isinstance(error, RuleViolated)
    assert (pointer, says) in [(e.pointer, e.detail) for e in error.errors]
    assert writers["orders"].find_one({"_id": row["_id"]}) == row


@pytest.mark.parametrize("way", ["insert", "update", "upsert"])
def test_a_clock_may_be_4_minutes_ahead(way: str, writers: Writers) -> None:
    row = order_row()
    if way == "update":
        writers["orders"].insert_one(row)
    if way == "insert":
        writers["orders"].insert_one(new(row, in_minutes(4)))
    else:
        writers["orders"].update_one({"_id": row["_id"]}, pushed(row, in_minutes(4)), upsert=way == "upsert")
    stored = writers["orders"].find_one({"_id": row["_id"]})
    assert stored is not None
    recorded_at = READ.validate_python(stored["recorded_at"])
    assert stored["placed_at"] > recorded_at > datetime.now(UTC) - timedelta(minutes=1)


def test_an_order_that_was_recorded_as_a_date_is_as_good(writers: Writers) -> None:
    row = order_row(recorded_at=MOMENT + timedelta(seconds=1))
    writers["orders"].insert_one(row)
    assert READ.validate_python(row["recorded_at"]) == MOMENT + timedelta(seconds=1)
    writers["orders"].update_one({"_id": row["_id"]}, pushed(row, MOMENT))


@pytest.mark.parametrize("recorded_at", [Timestamp(0, 1), Timestamp(1, 0)])
def test_a_time_that_is_not_the_servers_own_is_no_excuse(recorded_at: Timestamp, writers: Writers) -> None:
    with pytest.raises(WriteError):
        writers["orders"].insert_one({**order_row(), "recorded_at": recorded_at})


def test_of_a_batch_of_new_orders_only_the_one_from_the_future_is_refused(writers: Writers) -> None:
    dates = [MOMENT, MOMENT, in_minutes(60), in_minutes(4), MOMENT]
    rows = [new(order_row(), placed_at) for placed_at in dates]
    with pytest.raises(BulkWriteError) as caught:
        writers["orders"].insert_many(rows, ordered=False)
    assert [error["index"] for error in caught.value.details["writeErrors"]] == [2]
    stored = {row["_id"]: row for row in writers["orders"].find({})}
    assert stored.keys() == {row["_id"] for index, row in enumerate(rows) if index != 2}
    assert all(row["recorded_at"].time > 0 for row in stored.values())


def test_of_a_bulk_of_pushes_only_the_one_from_the_future_is_refused(writers: Writers) -> None:
    rows = [order_row() for _ in range(5)]
    dates = [MOMENT, MOMENT, in_minutes(60), in_minutes(4), MOMENT]
    pushes = [
        UpdateOne({"_id": row["_id"]}, pushed(row, placed_at), upsert=True)
        for row, placed_at in zip(rows, dates, strict=True)
    ]
    with pytest.raises(BulkWriteError) as caught:
        writers["orders"].bulk_write(pushes, ordered=False)
    assert [error["index"] for error in caught.value.details["writeErrors"]] == [2]
    error = translate(caught.value)
    assert isinstance(error, RuleViolated)
    assert [e.detail for e in error.errors] == [FUTURE]
    stored = {row["_id"] for row in writers["orders"].find({})}
    assert stored == {row["_id"] for index, row in enumerate(rows) if index != 2}
