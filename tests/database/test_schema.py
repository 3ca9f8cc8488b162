"""A document class as MongoDB's ``$jsonSchema``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema, create_model

from crm import money
from crm.contracts import contract
from crm.database.ids import StoredAmount
from crm.database.schema import every_date, json_schema
from crm.fields import Attributes, Currency, Moment

pytestmark = pytest.mark.fast


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    text: str


def of(annotation: Any, default: Any = ...) -> dict[str, Any]:
    """The schema of one field of that type."""
    model = create_model("Model", field=(annotation, default))
    schema: dict[str, Any] = json_schema(model)["properties"]["field"]
    return schema


def required(annotation: Any, default: Any = ...) -> bool:
    return "field" in json_schema(create_model("Model", field=(annotation, default))).get("required", [])


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str, {"bsonType": "string"}),
        (bool, {"bsonType": "bool"}),
        (int, {"bsonType": ["int", "long"]}),
        (float, {"bsonType": "double"}),
        (datetime, {"bsonType": "date"}),
        (Moment, {"bsonType": "date"}),
        (list[str], {"bsonType": "array", "items": {"bsonType": "string"}}),
        (dict[str, Any], {"bsonType": "object"}),
        (dict[str, int], {"bsonType": "object", "additionalProperties": {"bsonType": ["int", "long"]}}),
        (Annotated[int, Field(ge=1, le=9)], {"bsonType": ["int", "long"], "minimum": 1, "maximum": 9}),
        (Annotated[str, Field(min_length=1, max_length=9)], {"bsonType": "string", "minLength": 1, "maxLength": 9}),
        (
            Annotated[list[int], Field(min_length=1, max_length=9)],
            {"bsonType": "array", "items": {"bsonType": ["int", "long"]}, "minItems": 1, "maxItems": 9},
        ),
        (Literal["only"], {"bsonType": "string", "enum": ["only"]}),
        (Literal["a", "b"], {"bsonType": "string", "enum": ["a", "b"]}),
        (Colour, {"bsonType": "string", "enum": ["red", "blue"]}),
        (StoredAmount, {"bsonType": "decimal", "minimum": 0, "maximum": 10**12}),
        (str | int, {"anyOf": [{"bsonType": "string"}, {"bsonType": ["int", "long"]}]}),
    ],
)
def test_types(annotation: Any, schema: dict[str, Any]) -> None:
    assert of(annotation) == schema


def test_a_const_is_an_enum_of_one() -> None:
    schema = of(Annotated[str, Field(json_schema_extra={"const": "x"})])
    assert schema == {"bsonType": "string", "enum": ["x"]}


def test_references_are_inlined_wherever_they_stand() -> None:
    inner = {
        "bsonType": "object",
        "properties": {"text": {"bsonType": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    }
    assert of(Inner) == inner
    assert of(Inner | None, None) == inner
    assert of(list[Inner])["items"] == inner
    assert of(dict[str, Inner])["additionalProperties"] == inner
    assert "$" not in str(json_schema(create_model("Model", a=(Inner, ...), b=(list[Inner], ...))))


def test_what_may_be_none_is_absent_rather_than_null() -> None:
    assert of(str | None, None) == {"bsonType": "string"}
    assert not required(str | None, None)
    assert not required(str | None)
    assert not required(Annotated[int, Field(ge=1)] | None, None)


def test_what_has_a_default_is_stored_all_the_same() -> None:
    assert required(str)
    assert required(str, "x")
    assert required(list[str], [])
    assert "default" not in of(str, "x")


def test_a_model_without_required_fields_says_nothing_of_them() -> None:
    schema = json_schema(create_model("Model", field=(str | None, None)))
    assert schema == {
        "bsonType": "object",
        "properties": {"field": {"bsonType": "string"}},
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("^[a-z]{2}$", r"\A[a-z]{2}\z"),
        ("[a-z]", "[a-z]"),
        ("^[a-z]", r"\A[a-z]"),
        ("[a-z]$", r"[a-z]\z"),
        (r"^[0-9]+\$", r"\A[0-9]+\$"),
        (r"^\d+$", r"(*UCP)\A\d+\z"),
        (r"^[^\s@]+$", r"(*UCP)\A[^\s@]+\z"),
    ],
)
def test_anchors_and_classes_mean_the_same_to_mongodb(ours: str, theirs: str) -> None:
    assert of(Annotated[str, StringConstraints(pattern=ours)])["pattern"] == theirs


def test_a_dictionary_with_named_keys_takes_no_others() -> None:
    key = Annotated[str, StringConstraints(pattern="^[a-z]$")]
    assert of(Annotated[dict[key, bool], Field(max_length=9)]) == {
        "bsonType": "object",
        "patternProperties": {r"\A[a-z]\z": {"bsonType": "bool"}},
        "additionalProperties": False,
        "maxProperties": 9,
    }


def test_attributes_take_any_scalar_within_bounds() -> None:
    schema = of(Attributes)
    (values,) = schema["patternProperties"].values()
    assert {str(branch["bsonType"]) for branch in values["anyOf"]} == {"string", "bool", "['int', 'long']", "double"}
    (double,) = (branch for branch in values["anyOf"] if branch["bsonType"] == "double")
    assert double["minimum"] == -double["maximum"] == -1.7976931348623157e308, "or NaN and infinity are stored"


def test_a_float_that_may_be_infinite_has_no_bounds() -> None:
    assert of(Annotated[float, Field(allow_inf_nan=True)]) == {"bsonType": "double"}


def test_a_currency_is_one_of_those_in_use() -> None:
    schema = of(Currency)
    codes = schema["pattern"].removeprefix(r"\A(?:").removesuffix(r")\z").split("|")
    assert schema == {"bsonType": "string", "pattern": schema["pattern"]}
    assert tuple(codes) == money.currencies()


def test_a_long_list_of_what_is_no_plain_word_stays_a_list() -> None:
    values = [f"size-{number}" for number in range(40)]
    assert of(Annotated[str, WithJsonSchema({"type": "string", "enum": values})]) == {
        "bsonType": "string",
        "enum": values,
    }


def test_an_object_s_choice_of_required_fields_is_kept() -> None:
    class Either(BaseModel):
        model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["a"]}, {"required": ["b"]}]})
        a: str | None = None
        b: str | None = None

    schema = json_schema(Either)
    assert schema["anyOf"] == [{"required": ["a"]}, {"required": ["b"]}]
    assert schema["properties"].keys() == {"a", "b"}


@pytest.mark.parametrize(
    "annotation",
    [
        Decimal,
        Annotated[Decimal, Field(ge=0)],
        Annotated[Decimal, Field(le=9)],
        Annotated[Decimal, BeforeValidator(str), Field(ge=0, le=9)],
    ],
)
def test_a_decimal_without_both_bounds_is_refused(annotation: Any) -> None:
    with pytest.raises(TypeError, match="A decimal needs ge and le"):
        of(annotation)


@pytest.mark.parametrize("annotation", [Any, object])
def test_what_mongodb_cannot_check_is_refused(annotation: Any) -> None:
    with pytest.raises(TypeError, match="MongoDB has no schema for"):
        of(annotation)


def test_dates_are_found_at_every_depth() -> None:
    class Visit(BaseModel):
        at: datetime

    class Visitor(BaseModel):
        born: datetime
        name: str
        last: Visit
        visits: list[Visit]
        reminders: list[datetime]

    assert every_date(json_schema(Visitor)) == {
        "$concatArrays": [
            ["$born", "$last.at"],
            {"$cond": [{"$isArray": "$visits.at"}, "$visits.at", []]},
            {"$cond": [{"$isArray": "$reminders"}, "$reminders", []]},
        ]
    }


#: Of JSON Schema, what MongoDB 6.0 knows and this product uses.
KNOWN = """
    bsonType properties required additionalProperties patternProperties minProperties maxProperties
    items minItems maxItems uniqueItems anyOf enum minimum maximum minLength maxLength pattern
"""


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema and all within it."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("patternProperties", {}).values()]
    inner += [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]
    for one in inner:
        yield from nodes(one)


@pytest.mark.parametrize("name", [c.name for c in contract().collections])
def test_every_collection_lists_its_id_and_nothing_that_mongodb_does_not_know(name: str) -> None:
    (declared,) = (c for c in contract().collections if c.name == name)
    schema = json_schema(declared.document)
    assert schema["properties"]["_id"]["bsonType"] == "string"
    assert "_id" in schema["required"]
    assert "revision_id" not in schema["properties"]
    assert {keyword for node in nodes(schema) for keyword in node} <= set(KNOWN.split())
