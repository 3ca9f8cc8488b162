"""Unused indexes and missing ones; and that no value of a filter is ever told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.database.indexes import Index, IndexFile
from crm.database.shapes import fields_of, filter_of, shape_of
from crm.database.usage import IndexUsage, Noted
from crm.ops.doctor.findings import Checked, Severity
from crm.ops.doctor.query_rules import missing, shapes, slowest, unused

pytestmark = pytest.mark.fast

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
RED, AMBER, NOTE = Severity.RED, Severity.AMBER, Severity.NOTE
DECLARED = {
    "orders": IndexFile(
        index=[
            Index(name="serving", keys=["a"], serves=["orders.queries.of_customer"]),
            Index(name="guarding", keys=["b"], unique=True, guards="one of each"),
            Index(name="expiring", keys=["c"], expire_after_seconds=9, guards="nothing is kept"),
        ]
    )
}


def usage(name: str, used: int, days: float) -> IndexUsage:
    return IndexUsage(name, used, NOW - timedelta(days=days))


def told(checked: Checked) -> list[tuple[Severity, list[str]]]:
    return [(finding.severity, finding.examples) for finding in checked.findings]


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (usage("serving", 0, 8), [(NOTE, ["orders.serving, watched for 8 days"])]),
        (usage("serving", 1, 8), []),
        (usage("serving", 0, 6), [(NOTE, [])]),  # too early to tell
        (usage("guarding", 0, 8), []),
        (usage("expiring", 0, 8), []),
        (usage("_id_", 0, 8), []),
        (usage("somebody_elses", 0, 8), [(AMBER, ["orders.somebody_elses, watched for 8 days"])]),
    ],
)
def test_unused_indexes(index: IndexUsage, expected: list[tuple[Severity, list[str]]]) -> None:
    checked = unused({"orders": [index]}, DECLARED, NOW)
    assert told(checked) == expected
    assert checked.looked_at == 1


def test_how_long_they_were_watched_is_said_where_it_is_too_short() -> None:
    (finding,) = unused({"orders": [usage("serving", 0, 0.25), usage("_id_", 7, 30)]}, DECLARED, NOW).findings
    assert "watched for 6 h only" in finding.says


def noted(filter_: Any, plan: str = "COLLSCAN", examined: int = 20_000, returned: int = 1, ms: int = 5) -> Noted:
    return Noted("customers", "query", {"find": "customers", "filter": filter_}, plan, ms, examined, returned)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (noted({"note": "x"}), [RED]),
        (noted({"note": "x"}, examined=9_999), [AMBER]),
        (noted({"note": "x"}, examined=999), []),
        (noted({"note": "x"}, returned=3_000), []),  # most of what there is was wanted
        (noted({"note": "x"}, plan="IXSCAN { _id: 1 }"), []),
        (noted({}), []),  # whoever asks for everything has to read everything
    ],
)
def test_missing_indexes(one: Noted, expected: list[Severity]) -> None:
    assert [finding.severity for finding in missing(shapes([one])).findings] == expected


def test_operations_that_are_alike_are_one_shape() -> None:
    many = [noted({"note": str(number)}, examined=number * 1_000, ms=number) for number in range(1, 41)]
    (shape,) = shapes([*many, noted({"note": "x"}, plan="IXSCAN { note: 1 }", examined=1, ms=90)])
    assert shape.text == "find customers {note}"
    assert (shape.times, shape.ms, shape.examined, shape.scans) == (41, 90, 40_000, True)


def test_the_slowest_come_first_and_only_slow_ones_are_findings() -> None:
    many = [noted({f"f{number}": 1}, ms=number * 100) for number in range(1, 12)]
    checked = slowest(shapes(many))
    assert [row["slowest ms"] for row in checked.figures] == [1100, 1000, 900, 800, 700]
    assert [finding.severity for finding in checked.findings] == [AMBER, AMBER]
    assert checked.looked_at == 11


@pytest.mark.parametrize(
    ("op", "command", "expected"),
    [
        ("query", {"find": "c", "filter": {"a": 1, "b": {"$gt": 2, "$lt": 3}}, "sort": {"_id": -1}},
         "find c {a, b: $gt $lt} sort {_id}"),
        ("command", {"aggregate": "c", "pipeline": [{"$match": {"$or": [{"a": 1}, {"b": 2}, {"a": 3}]}}]},
         "aggregate c {$or: [{a}, {b}]}"),
        ("command", {"aggregate": "c", "pipeline": [{"$group": {"_id": 1}}]}, "aggregate c {}"),
        ("command", {"aggregate": "c", "pipeline": []}, "aggregate c {}"),
        ("command", {"count": "c", "query": {"a": {"b": 1}}}, "count c {a}"),
        ("update", {"q": {"_id": "x"}, "u": {"$set": {"a": 1}}}, "update c {_id}"),
        ("remove", {"q": {}, "limit": 0}, "remove c {}"),
        ("getmore", {}, "getmore c {}"),
        ("query", {"find": "c", "filter": {"ann@example.com": 1}}, "find c {(not shown)}"),
    ],
)  # fmt: skip
def test_shapes(op: str, command: dict[str, Any], expected: str) -> None:
    assert shape_of(op, "c", command) == expected


SECRET = "Ann Example <ann@example.com>"
VALUES = st.recursive(
    st.just(SECRET),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "$gt", "$in", "$or", "$elemMatch", "$eq"]) | st.just(SECRET), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["a", "b.c", "$and", "$or", "$expr", "$text"]) | st.just(SECRET), VALUES, max_size=4
    )
)
def test_no_value_is_told_wherever_it_stands(filter_: dict[str, Any]) -> None:
    command = {"find": "c", "filter": filter_, "sort": {SECRET: 1}}
    assert filter_of(command) == filter_
    assert "Ann" not in fields_of(filter_)
    assert "@" not in shape_of("query", "c", command)
