"""No order from the future: the server compares with its own clock, whoever writes and however."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import Timestamp
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, WriteError

from crm.database.failures import translate
from crm.errors import RuleViolated
from tests.fixtures.plain import Writers, plain_writers
from tests.fixtures.rows import ABSENT, MOMENT, Row, order_row
from tests.fixtures.store import Store

FUTURE = "placed_at is not in the future (5 minutes of skew allowed)"
NOT_ALLOWED = "This value is not allowed."

pytestmark = pytest.mark.mongo


@pytest.fixture(scope="module")
def writers(store: Store) -> Iterator[Writers]:
    with plain_writers(store) as writers:
        yield writers


def pushed(row: Row, placed_at: Any) -> Row:
    """The update by which an order is stored: the server's own clock says when it was recorded."""
    fields = {key: value for key, value in row.items() if key not in {"_id", "recorded_at", "placed_at"}}
    if placed_at is not ABSENT:
        fields["placed_at"] = placed_at
    return {"$set": fields, "$currentDate": {"recorded_at": True}}


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
        writers["orders"].update_one({"_id": row["_id"]}, {**change, "$currentDate": {"recorded_at": True}})
    error = translate(caught.value)
    assert isinstance(error, RuleViolated)
    assert (pointer, says) in [(e.pointer, e.detail) for e in error.errors]
    assert writers["orders"].find_one({"_id": row["_id"]}) == row


@pytest.mark.parametrize("upsert", [False, True])
def test_a_clock_may_be_4_minutes_ahead(upsert: bool, writers: Writers) -> None:
    row = order_row()
    if not upsert:
        writers["orders"].insert_one(row)
    writers["orders"].update_one({"_id": row["_id"]}, pushed(row, in_minutes(4)), upsert=upsert)
    stored = writers["orders"].find_one({"_id": row["_id"]})
    assert stored is not None
    assert stored["placed_at"] > stored["recorded_at"] > datetime.now(UTC) - timedelta(minutes=1)


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
