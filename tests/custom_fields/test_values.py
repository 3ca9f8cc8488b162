"""What the values of a custom field are, to us and to MongoDB alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from typing import Any, Final, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo.database import Database as PyMongoDatabase

from crm.custom_fields import declaring
from crm.custom_fields.schemas import FieldType
from crm.custom_fields.values import Definition, Fields
from crm.errors import InvalidInput
from tests.fixtures.scratch import scratch

CHOICES: Final = ("38", "39", "a b", "é")
DEFINITIONS: Final = {
    type_: Definition(type_, type_, choices=CHOICES if type_ == "choice" else ()) for type_ in get_args(FieldType)
}
DAYS: Final = (
    "2026-01-31", "2026-02-29", "2024-02-29", "2000-02-29", "1900-02-29", "2026-13-01", "2026-1-1", "2026-01-31\n",
    "2026-04-31", "0999-01-01", "1000-01-01", "2999-12-31", "3000-01-01", "２026-01-31",
)  # fmt: skip
#: What an attribute can be at all (``crm.fields.AttributeValue``).
SCALARS = (
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from((*CHOICES, *DAYS, "", "1", "true", 1, 0, 1.0, -0.0, True, False))
    | st.dates().map(str)
)


@pytest.mark.fast
@given(st.one_of(st.sampled_from(DAYS), st.dates().map(str), st.from_regex(r"\A[12][0-9]{3}-[0-9]{2}-[0-9]{2}\Z")))
@settings(max_examples=500)
def test_a_day_is_one_that_there_is(text: str) -> None:
    try:
        there_is = 1000 <= date.fromisoformat(text).year < 3000 and len(text) == 10 and text.isascii()
    except ValueError:
        there_is = False
    assert DEFINITIONS["date"].holds(text) == there_is


@pytest.fixture(scope="module")
def stored(root_uri: str) -> Iterator[PyMongoDatabase[dict[str, Any]]]:
    """A collection whose only rule are the fields."""
    schema = {"$jsonSchema": {"properties": {"a": {"properties": declaring.properties(DEFINITIONS.values())}}}}
    with scratch(root_uri, "field_values") as store:
        store.root.create_collection("values", validator=schema)
        yield store.root


@pytest.mark.mongo
@given(type_=st.sampled_from(sorted(DEFINITIONS)), values=st.lists(SCALARS, min_size=20, max_size=20))
@settings(max_examples=100)
def test_mongodb_agrees(type_: FieldType, values: list[Any], stored: PyMongoDatabase[dict[str, Any]]) -> None:
    rows = [{"_id": n, "a": {type_: value}} for n, value in enumerate(values)]
    answer = stored.command("insert", "values", documents=rows, ordered=False, writeConcern={"w": 1, "j": False})
    refused = {error["index"] for error in answer.get("writeErrors", [])}
    stored.command("delete", "values", deletes=[{"q": {}, "limit": 0}], writeConcern={"w": 1, "j": False})
    assert refused == {n for n, value in enumerate(values) if not DEFINITIONS[type_].holds(value)}


@pytest.mark.fast
@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("text", "12", "12"), ("text", "", ""), ("integer", "12", 12), ("integer", "-7", -7), ("number", "12", 12),
        ("number", "-0.5", -0.5), ("number", "1e3", 1000.0), ("boolean", "true", True), ("boolean", "false", False),
        ("date", "2024-02-29", "2024-02-29"), ("choice", "a b", "a b"),
    ],
)  # fmt: skip
def test_a_value_in_a_query_string(type_: FieldType, text: str, value: Any) -> None:
    read = DEFINITIONS[type_].read(text)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.fast
@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("integer", ""), ("integer", "1.0"), ("integer", "12x"), ("integer", "9" * 40), ("integer", "9" * 16),
        ("integer", "١"), ("number", "nan"), ("number", "inf"), ("number", "1e400"), ("number", "x"), ("number", ""),
        ("boolean", "True"), ("boolean", "1"), ("date", "31.01.2026"), ("choice", "37"),
    ],
)  # fmt: skip
def test_what_is_no_value_in_a_query_string(type_: FieldType, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        DEFINITIONS[type_].read(text)


@pytest.mark.fast
@given(type_=st.sampled_from(sorted(DEFINITIONS)), value=SCALARS)
def test_every_value_that_is_written_out_is_read_again(type_: FieldType, value: Any) -> None:
    if not DEFINITIONS[type_].holds(value) or (isinstance(value, float) and abs(value) > 2**53):
        return
    text = str(value).lower() if isinstance(value, bool) else str(value)
    read = DEFINITIONS[type_].read(text)
    assert read == value
    assert not isinstance(value, float) or math.copysign(1, read) == math.copysign(1, value)


@pytest.mark.fast
def test_required_fields_are_asked_of_whoever_can_be_asked() -> None:
    fields = Fields(
        [
            Definition("size", "integer", required=True),
            Definition("gone", "integer", required=True, state="retiring"),
            Definition("colour", "text"),
        ]
    )
    fields.check({})
    right = {"size": 42, "colour": "red", "other": True, "gone": "x"}
    fields.check(right, whole=right)
    with pytest.raises(InvalidInput) as caught:
        fields.check({"colour": 5}, whole={"colour": 5})
    assert [e.pointer for e in caught.value.errors] == ["/attributes/colour", "/attributes/size"]
    # What is there already is not looked at again, but required fields may be among it.
    fields.check({"other": 1, "colour": None}, whole={"other": 1, "size": "XL"})
    assert fields.fitting({"size": "XL", "colour": "red", "other": 1}) == {"colour": "red", "other": 1}


@pytest.mark.fast
def test_customers_are_found_by_fields_that_are_indexed_by_now() -> None:
    assert Fields(
        [
            Definition("b", "text", indexed=True),
            Definition("a", "text", indexed=True),
            Definition("pending", "text", indexed=True, state="pending"),
            Definition("retiring", "text", indexed=True, state="retiring"),
            Definition("not", "text"),
        ]
    ).indexed() == ["a", "b"]
