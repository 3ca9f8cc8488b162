"""What the server itself refuses of refunds, states and records, to a client that goes around the API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.errors import DuplicateKeyError, WriteError

from crm.database.failures import translate
from crm.errors import RuleViolated
from tests.fixtures.plain import Writers, plain_writers, text_of
from tests.fixtures.rows import (
    ABSENT,
    Row,
    amount,
    order_row,
    order_version_row,
    plain_order_row,
    refund_row,
    refunded_order_row,
    stats_due_row,
)
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

MARK = "qzxmarkerqzx"
NOT_ALLOWED = "This value is not allowed."
REQUIRED = "This field is required."
SUM = "refunded is the sum of the refunds, and not more than the total"
LINES = "a refund with lines is their sum"
ONCE = "no two refunds of an order have the same id"
STATUS = "status is what the source said last, after refunds"
DECIMALS = "no amount has more decimals than its currency"
WHOLE = {"lines": ABSENT}
Refused = tuple[Row, str, str]


@pytest.fixture(scope="module")
def writers(store: Store) -> Iterator[Writers]:
    with plain_writers(store) as writers:
        yield writers


def refunded(pointer: str, says: str, **changes: Any) -> Refused:
    return refunded_order_row(**changes), pointer, says


def one(pointer: str, says: str, /, **changes: Any) -> Refused:
    """An order with one refund that has been changed."""
    return refunded_order_row(refunds=[refund_row(**changes)]), pointer, says


def line(pointer: str, says: str, /, **changes: Any) -> Refused:
    broken = {"sku": "MUG", "quantity": 1, "amount": amount("5.10"), **changes}
    lines = [{name: value for name, value in broken.items() if value is not ABSENT}]
    return refunded_order_row(refunds=[refund_row(lines=lines)]), pointer, says


def back(text: str, total: str, *, currency: str = "GBP", status: str = "partially_refunded") -> Row:
    """An order of that total, of which so much was given back."""
    refunds = [refund_row(amount=amount(text), **WHOLE)]
    return plain_order_row(
        total, currency=currency, refunds=refunds, refunded=amount(text), status=status, source_status="paid"
    )


REFUSED: dict[str, Refused] = {
    "refunded is more than the refunds": refunded("", SUM, refunded=amount("5.11")),
    "refunded is less than the refunds": refunded("", SUM, refunded=amount("5.09")),
    "refunded without refunds": refunded("", SUM, refunds=ABSENT),
    "refunds without refunded": (
        order_row(refunds=[refund_row()]), "", SUM,
    ),
    "more than the total": (back("15.20", "15.19", status="refunded"), "", SUM),
    "two refunds that are more than the total": refunded(
        "", SUM,
        refunds=[refund_row(), refund_row(id="re-2", amount=amount("10.10"), **WHOLE)],
        refunded=amount("15.20"), status="refunded",
    ),
    "one refund twice": refunded("", ONCE, refunds=[refund_row(), refund_row()], refunded=amount("10.20")),
    "lines that are more than the refund": line("", LINES, amount=amount("5.11")),
    "lines that are less than the refund": line("", LINES, amount=amount("5.09")),
    "a state that refunds do not touch": refunded("", STATUS, status="paid", source_status=ABSENT),
    "refunded, but not all of it": refunded("", STATUS, status="refunded"),
    "all of it, but only partly refunded": (back("15.19", "15.19"), "", STATUS),
    "cancelled, but partly refunded": refunded("", STATUS, source_status="cancelled"),
    "another state than the source's, without a refund": (order_row(source_status="fulfilled"), "", STATUS),
    "yen with decimals": (back("5.5", "100", currency="JPY"), "", DECIMALS),
    "pounds with three decimals": (back("5.101", "15.19"), "", DECIMALS),
    "dinars with four decimals": (back("0.0001", "1.000", currency="KWD"), "", DECIMALS),
    "a refund without end": one("/refunds/0/amount", NOT_ALLOWED, amount=amount("Infinity")),
    "a refund that is no number": one("/refunds/0/amount", NOT_ALLOWED, amount=amount("NaN")),
    "refunded that is no number": refunded("/refunded", NOT_ALLOWED, refunded=amount("NaN")),
    "refunded without end": refunded("/refunded", NOT_ALLOWED, refunded=amount("Infinity")),
    "a refund below zero": one("/refunds/0/amount", NOT_ALLOWED, amount=amount("-5.10")),
    "a refund by a double": one("/refunds/0/amount", NOT_ALLOWED, amount=5.1),
    "a refund of no id": one("/refunds/0/id", REQUIRED, id=ABSENT),
    "a refund by nobody": one("/refunds/0/by", REQUIRED, by=ABSENT),
    "a refund at no time": one("/refunds/0/at", REQUIRED, at=ABSENT),
    "a refund's unknown field": one("/refunds/0/method", "This field is not known.", method=MARK),
    "a line that is no number": line("/refunds/0/lines/0/amount", NOT_ALLOWED, amount=amount("NaN")),
    "a line without end": line("/refunds/0/lines/0/amount", NOT_ALLOWED, amount=amount("Infinity")),
    "a line of no product": line("/refunds/0/lines/0/sku", REQUIRED, sku=ABSENT),
    "a line of no pieces": line("/refunds/0/lines/0/quantity", NOT_ALLOWED, quantity=0),
    "501 refunds": refunded(
        "/refunds", "This list breaks maxItems.",
        refunds=[refund_row(id=f"re-{n}", amount=amount("0.01"), **WHOLE) for n in range(501)],
        refunded=amount("5.01"),
    ),
    "a test by text": (order_row(test="true"), "/test", NOT_ALLOWED),
    "a state of the source that is none": (order_row(source_status=MARK), "/source_status", NOT_ALLOWED),
}  # fmt: skip

ACCEPTED: dict[str, Row] = {
    "all of it": back("15.19", "15.19", status="refunded"),
    "two refunds": refunded_order_row(
        refunds=[refund_row(), refund_row(id="re-2", amount=amount("1"), **WHOLE)], refunded=amount("6.10")
    ),
    "yen": back("5", "100", currency="JPY"),
    "dinars": back("0.001", "1.000", currency="KWD"),
    "refunded by word alone": order_row(status="refunded"),
    "cancelled after a refund": refunded_order_row(status="cancelled", source_status=ABSENT),
    "a pending order after a refund": refunded_order_row(source_status="pending"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name: str, writers: Writers, store: Store) -> None:
    row, pointer, says = REFUSED[name]
    row = {**row, "_id": row["_id"] + MARK}
    with pytest.raises(WriteError) as caught:
        writers["orders"].insert_one(row)
    assert caught.value.code == 121
    error = translate(caught.value)
    assert isinstance(error, RuleViolated)
    assert (pointer, says) in [(e.pointer, e.detail) for e in error.errors]
    assert MARK not in text_of(error)
    assert store.root["orders"].find_one({"_id": row["_id"]}) is None


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepts(name: str, writers: Writers, store: Store) -> None:
    writers["orders"].insert_one(ACCEPTED[name])
    assert store.root["orders"].find_one({"_id": ACCEPTED[name]["_id"]}) == ACCEPTED[name]


@pytest.mark.parametrize(
    "update",
    [{"$set": {"refunded": amount("5.11")}}, {"$set": {"status": "paid"}}, {"$unset": {"refunded": ""}},
     {"$unset": {"refunds": ""}}, {"$set": {"currency": "JPY"}}, {"$push": {"refunds": refund_row()}},
     {"$set": {"refunds.0.amount": amount("5.11"), "refunded": amount("5.11")}}],
)  # fmt: skip
def test_a_later_change_is_held_to_the_same_rules(update: Row, writers: Writers) -> None:
    row = refunded_order_row()
    writers["orders"].insert_one(row)
    with pytest.raises(WriteError, match="Document failed validation"):
        writers["orders"].update_one({"_id": row["_id"]}, update)
    assert writers["orders"].find_one({"_id": row["_id"]}) == row


@pytest.mark.parametrize(
    ("collection", "row"),
    [
        ("order_versions", order_version_row(version=0)),
        ("order_versions", order_version_row(changed_at=ABSENT)),
        ("order_versions", order_version_row(total=amount("NaN"))),
        ("order_versions", order_version_row(order_id=ABSENT)),
        ("order_versions", order_version_row(changed_at=datetime(2200, 1, 1, tzinfo=UTC))),
        ("stats_due", stats_due_row(customer_ids=[])),
        ("stats_due", stats_due_row(customer_ids=[5])),
        ("stats_due", stats_due_row(at=ABSENT)),
        ("stats_due", stats_due_row(claimed_until="never")),
    ],
)
def test_records_and_marks_have_their_shape(collection: str, row: Row, writers: Writers) -> None:
    with pytest.raises(WriteError, match="Document failed validation"):
        writers[collection].insert_one(row)


def test_there_is_one_record_of_each_version(writers: Writers) -> None:
    row = order_version_row()
    writers["order_versions"].insert_one(row)
    with pytest.raises(DuplicateKeyError):
        writers["order_versions"].insert_one({**row, "_id": "orv_OTHER"})
