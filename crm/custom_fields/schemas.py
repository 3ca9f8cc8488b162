"""Wire shapes of custom fields."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from crm.fields import AttributeName, Line, Moment
from crm.web.schemas import Conditional, WireIn, WireOut, example

FieldType = Literal["text", "integer", "number", "boolean", "date", "choice"]
#: ``pending``: MongoDB may not enforce it yet. ``retiring``: it is being removed.
FieldState = Literal["pending", "active", "retiring"]
MOST_CHOICES: Final = 100


def _each_once(choices: list[str]) -> list[str]:
    if len(set(choices)) < len(choices):
        raise ValueError("A choice is named once.")
    return choices


Choice = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
Choices = Annotated[list[Choice], Field(min_length=1, max_length=MOST_CHOICES), AfterValidator(_each_once)]


class CustomFieldCreate(WireIn):
    """A new field: what ``attributes.<name>`` of a customer may hold from now on."""

    model_config = example(
        name="shoe_size", label="Shoe size", type="choice", choices=["38", "39", "40", "41"], indexed=True
    )

    name: AttributeName
    label: Line
    type: FieldType
    choices: Choices | None = None
    required: bool = False
    indexed: bool = False

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if (self.type == "choice") != (self.choices is not None):
            raise ValueError("A choice has choices, and nothing else has them.")
        return self


class CustomFieldUpdate(Conditional):
    """A merge patch. Name and type stay: values that are there were given for them."""

    model_config = example(version=1, label="EU shoe size")

    label: Line | None = None
    choices: Choices | None = None
    required: bool | None = None
    indexed: bool | None = None


class CustomFieldOut(WireOut):
    """A field, and whether MongoDB enforces it yet."""

    name: str
    version: int
    label: str
    type: FieldType
    choices: list[str] | None
    required: bool
    indexed: bool
    state: FieldState
    created_at: Moment
    updated_at: Moment
