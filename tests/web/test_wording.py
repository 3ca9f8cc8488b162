"""No text of a library reaches a client: what Pydantic and msgspec say of wrong values is said in our words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import httpx
import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from crm.fields import (
    AmountText,
    AttributeName,
    Country,
    Currency,
    Identifier,
    Line,
    LongText,
    Quantity,
    SourceName,
)
from crm.web.wording import sentence
from tests.fixtures.answers import refused


class Shape(BaseModel):
    """Anything."""

    model_config = ConfigDict(extra="forbid")
    a: int


Some = Annotated[list[int], Field(min_length=1, max_length=2)]
#: What a field takes, what is sent, and what is said of it.
SAID: list[tuple[Any, Any, str]] = [
    (Shape, {}, "This field is required."),
    (Shape, {"a": 1, "b": 2}, "This field is not known."),
    (Shape, 3, "This is an object."),
    (Line, "", "This has at least 1 character."),
    (Line, "x" * 201, "This has at most 200 characters."),
    (LongText, "a\0b", "A text has no character NUL."),
    (Line, 3, "This is a text."),
    (Country, "gb", "This is not the code of a country (ISO 3166-1 alpha-2)."),
    (Country, "ZZ", "This is not the code of a country (ISO 3166-1 alpha-2)."),
    (Currency, "£", "This is not the code of a currency (ISO 4217)."),
    (Identifier, "x", "This is no id of this service."),
    (SourceName, "-x", "A source has up to 64 letters, digits and . _ : - and begins with one of the first two."),
    (AttributeName, "a b", "A name has 1 to 64 letters, digits, _ and -."),
    (AmountText, "1,50", 'An amount is a text such as "12.50".'),
    (Annotated[str, Field(pattern="^a+$")], "b", "This is not of the form that is described."),
    (Quantity, 0, "This is at least 1."),
    (Quantity, 1_000_001, "This is at most 1000000."),
    (Quantity, "many", "This is a whole number."),
    (Quantity, 1.5, "This is a whole number."),
    (Quantity, "9" * 5_000, "This is a whole number."),
    (Annotated[float, Field(gt=0)], 0, "This is more than 0."),
    (Annotated[float, Field(lt=5)], 5, "This is less than 5."),
    (Annotated[float, Field(allow_inf_nan=False)], float("nan"), "This is a finite number."),
    (bool, "perhaps", "This is true or false."),
    (Literal["a", "b"], "c", "This is 'a' or 'b'."),
    (Some, [], "This has at least 1 item."),
    (Some, [1, 2, 3], "This has at most 2 items."),
    (Some, 3, "This is a list."),
    (dict[str, int], 3, "This is an object."),
]
_Page = Annotated[int, msgspec.Meta(ge=1, le=200)]
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=3)]
#: The same of a query.
SAID_OF_QUERIES: list[tuple[Any, Any, str]] = [
    (_Page, "0", "This is at least 1."),
    (_Page | None, "201", "This is at most 200."),
    (_Page, "many", "This is a whole number."),
    (_Page | None, "", "This is a whole number."),
    (_Word, "", "This has at least 1 character."),
    (_Word | None, "long", "This has at most 3 characters."),
    (Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")], "\0", "A text has no character NUL."),
    (bool | None, "perhaps", "This is true or false."),
    (Literal["a", "b"], "secret", "This value is not one of the allowed ones."),
]


@pytest.mark.fast
@pytest.mark.parametrize(("type_", "value", "says"), SAID)
def test_what_is_wrong_in_a_body(type_: Any, value: Any, says: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        TypeAdapter(type_).validate_python(value)
    assert [sentence(error["msg"]) for error in refusal.value.errors()] == [says]


@pytest.mark.fast
@pytest.mark.parametrize(("type_", "value", "says"), SAID_OF_QUERIES)
def test_what_is_wrong_in_a_query(type_: Any, value: Any, says: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.convert(value, type_, strict=False)
    assert sentence(str(refusal.value)) == says


@pytest.mark.fast
def test_a_rule_of_our_own_is_told_as_it_is() -> None:
    assert sentence("Value error, An address has at least one of its fields.") == (
        "An address has at least one of its fields."
    )


@pytest.mark.mongo
async def test_the_answers(sales: httpx.AsyncClient) -> None:
    problem = refused(await sales.get("/api/v1/customers?limit=201"), 400, "unreadable_request")
    assert problem["errors"] == [{"pointer": "limit", "detail": "This is at most 200."}]
    body = {"last_name": "Example", "addresses": [{"country": "gb", "line1": ""}]}
    problem = refused(await sales.post("/api/v1/customers", json=body), 422, "invalid_input")
    assert sorted((error["pointer"], error["detail"]) for error in problem["errors"]) == [
        ("/addresses/0/country", "This is not the code of a country (ISO 3166-1 alpha-2)."),
        ("/addresses/0/line1", "This has at least 1 character."),
    ]
