"""What a custom field's values are: to the API, to MongoDB, and in a query string. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from crm.custom_fields.schemas import FieldState, FieldType
from crm.errors import FieldError, InvalidInput

#: Days that there are between 1000 and 2999, in a form that MongoDB can check, too: dates are stored as such texts.
DAY: Final = (
    r"^[12][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))$"
    r"|^([12][0-9](0[48]|[2468][048]|[13579][26])|(12|16|20|24|28)00)-02-29$"
)
_DAY: Final = re.compile(DAY.replace("$", r"\Z"))
_WHOLE: Final = re.compile(r"-?[0-9]{1,16}")
_LARGEST: Final = 2**53
_BSON_TYPES: Final[Mapping[FieldType, Any]] = {
    "text": "string",
    "integer": ["int", "long"],
    "number": ["double", "int", "long"],
    "boolean": "bool",
}
_SAYS: Final[Mapping[FieldType, str]] = {
    "text": "This field is a text.",
    "integer": "This field is a whole number.",
    "number": "This field is a number.",
    "boolean": "This field is true or false.",
    "date": 'This field is a date such as "2026-01-31".',
    "choice": "This field has one of its choices.",
}


@dataclass(frozen=True, slots=True)
class Definition:
    """A field as admins have defined it; the attributes are those of ``documents.CustomField``."""

    name: str
    type: FieldType
    choices: tuple[str, ...] = ()
    required: bool = False
    indexed: bool = False
    state: FieldState = "active"
    version: int = 1

    def holds(self, value: object) -> bool:
        """Whether a value, which an attribute can have at all, is one of this field."""
        if self.type == "text":
            return isinstance(value, str)
        if self.type == "boolean":
            return isinstance(value, bool)
        if self.type == "choice":
            return value in self.choices
        if self.type == "date":
            return isinstance(value, str) and _DAY.match(value) is not None
        numbers = (int,) if self.type == "integer" else (int, float)
        return isinstance(value, numbers) and not isinstance(value, bool)

    def schema(self) -> dict[str, Any]:
        """The same for MongoDB, beside what every attribute is held to."""
        if self.type == "choice":
            return {"enum": list(self.choices)}
        if self.type == "date":
            # PCRE's $ would also stand before a final newline.
            return {"bsonType": "string", "pattern": DAY.replace("^", r"\A").replace("$", r"\z")}
        return {"bsonType": _BSON_TYPES[self.type]}

    def read(self, text: str) -> Any:
        """A value in a query string.

        Raises:
            ValueError: It is none of this field.
        """
        value: Any = text
        if self.type == "boolean":
            value = {"true": True, "false": False}.get(text)
        elif self.type in {"integer", "number"} and _WHOLE.fullmatch(text):
            value = int(text)
        elif self.type == "number":
            value = float(text)
        if not self.holds(value) or (isinstance(value, int | float) and not -_LARGEST <= value <= _LARGEST):
            raise ValueError(_SAYS[self.type])
        return value


class Fields:
    """The fields that are defined at a moment.

    Args:
        definitions: Those that are not being removed.
    """

    def __init__(self, definitions: Iterable[Definition] = ()) -> None:
        self._by_name = {one.name: one for one in definitions if one.state != "retiring"}

    def check(self, given: Mapping[str, Any], *, whole: Mapping[str, Any] | None = None) -> None:
        """Refuse values that are not what their fields hold.

        Args:
            given: New attributes; None stands for one that is taken away.
            whole: All that the customer will have, where the required ones have to be among them.

        Raises:
            InvalidInput: Named at ``/attributes/…``.
        """
        wrong = [
            FieldError(f"/attributes/{name}", _SAYS[self._by_name[name].type])
            for name in self._misfits({name: value for name, value in given.items() if value is not None})
        ]
        if whole is not None:
            lacking = (one.name for one in self._by_name.values() if one.required and one.name not in whole)
            wrong += (FieldError(f"/attributes/{name}", "This field is required.") for name in lacking)
        if wrong:
            raise InvalidInput("The attributes are not what the custom fields hold.", errors=tuple(wrong))

    def fitting(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """What of some attributes the fields can hold, for senders who are not asked to correct the rest."""
        misfits = self._misfits(attributes)
        return {name: value for name, value in attributes.items() if name not in misfits} if misfits else attributes

    def indexed(self) -> list[str]:
        """The fields that customers can be found by."""
        return sorted(one.name for one in self._by_name.values() if one.indexed and one.state == "active")

    def read(self, name: str, text: str) -> Any:
        """The value of a field in a query string.

        Raises:
            ValueError: It is none of this field.
        """
        return self._by_name[name].read(text)

    def _misfits(self, attributes: Mapping[str, Any]) -> list[str]:
        return [
            name for name, value in attributes.items() if name in self._by_name and not self._by_name[name].holds(value)
        ]
