"""Limits on the free part of an event, so that no sender can store what BSON or a reader cannot take. Pure.

They are wide enough for what tracking clients send: an event of theirs has at most 32 KB.
"""

from __future__ import annotations

import math
import re
import sys
from decimal import Decimal
from types import NoneType
from typing import Any, Final

import msgspec

DEEPEST: Final = 5
MOST_VALUES: Final = 2_000
LONGEST_TEXT: Final = 32 * 1024
LONGEST_KEY: Final = 200
LARGEST_INTEGER: Final = 2**53

_KEY: Final = rf"^([^$.\x00][^.\x00]{{0,{LONGEST_KEY - 1}}})?$"
_SCALARS: Final[list[dict[str, Any]]] = [
    {"bsonType": "string", "maxLength": LONGEST_TEXT, "pattern": r"^[^\x00]*$"},
    {"bsonType": "bool"},
    {"bsonType": ["int", "long"], "minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER},
    # The widest bounds there are: they refuse infinity, and NaN, which BSON sorts below every number.
    {"bsonType": "double", "minimum": -sys.float_info.max, "maximum": sys.float_info.max},
    {"bsonType": "null"},
]


def json_schema(depth: int = 1) -> dict[str, Any]:
    """The same limits as the database enforces them, but for the number of values.

    Anything else that BSON knows (an ObjectId, a date, a Decimal128) could not be answered as JSON, and one such event
    would make a whole list unreadable.
    """
    return {"type": "object", "patternProperties": {_KEY: _value_schema(depth)}}


def _value_schema(depth: int) -> dict[str, Any]:
    if depth >= DEEPEST:
        return {"anyOf": _SCALARS}
    inner = {"bsonType": "array", "items": _value_schema(depth + 1)}
    return {"anyOf": [*_SCALARS, inner, json_schema(depth + 1)]}


def check(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the properties as they came, or say what is wrong with them.

    Raises:
        ValueError: Too deep, too many values, a key with ``$`` in front, a dot or NUL, a number that BSON cannot hold.
    """
    _check_object(properties, 1, [0])
    return properties


def _check_object(value: dict[str, Any], depth: int, seen: list[int]) -> None:
    for key, item in value.items():
        harmless = not key.startswith("$") and "." not in key and "\x00" not in key and _is_unicode(key)
        if not harmless or len(key) > LONGEST_KEY:
            raise ValueError(
                f"A property's name has at most {LONGEST_KEY} characters, no dot, no NUL and no dollar sign in front."
            )
        _check_value(item, depth, seen)


def _check_value(value: Any, depth: int, seen: list[int]) -> None:
    seen[0] += 1
    if seen[0] > MOST_VALUES:
        raise ValueError(f"Properties hold at most {MOST_VALUES:,} values.")
    if isinstance(value, dict | list) and depth >= DEEPEST:
        raise ValueError(f"Properties are at most {DEEPEST} levels deep.")
    if isinstance(value, dict):
        _check_object(value, depth + 1, seen)
    elif isinstance(value, list):
        for item in value:
            _check_value(item, depth + 1, seen)
    else:
        _check_scalar(value)


def _check_scalar(value: Any) -> None:
    if value is not None and not isinstance(value, str | bool | int | float):
        raise ValueError("Properties hold texts, numbers, true, false, null, lists and objects.")
    if isinstance(value, str) and (len(value) > LONGEST_TEXT or "\x00" in value or not _is_unicode(value)):
        raise ValueError(f"A text in properties has at most {LONGEST_TEXT:,} characters and no NUL.")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_INTEGER:
        raise ValueError("A whole number in properties lies within ±2^53; send larger ones as text.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("A number in properties is finite.")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


#: What fits as any reader of JSON makes it.
_FITTING: Final = frozenset({str, bool, float, NoneType})
#: What is escaped in a name; a percent sign only where two hexadecimal digits would make it look like an escape.
_IN_NAMES: Final = re.compile(r"^\$|[.\x00]|%(?=[0-9A-Fa-f]{2})")
_AS_TEXT: Final = msgspec.json.Encoder(decimal_format="number")


def stored_name(name: str) -> str:
    """A name as it can be stored: dots, NUL and a dollar sign in front are percent-encoded; ``unquote`` undoes it."""
    return _IN_NAMES.sub(lambda found: f"%{ord(found[0]):02X}", name)


def fit(properties: dict[str, Any]) -> dict[str, Any]:
    """Make what somebody else's client sent fit, as far as that is possible without losing anything.

    Names are stored as ``stored_name`` says; what is deeper than ``DEEPEST`` is kept as its JSON text; whole numbers
    beyond ±2^53 as text.

    Args:
        properties: As read from JSON, without NUL, halves of characters and numbers beyond the largest float; Decimals
            become floats. They may be changed.

    Raises:
        ValueError: A name is too long. Whether there are too many values only ``check`` tells.
    """
    return _fit_object(properties, 1)


def _fit_object(value: dict[str, Any], depth: int) -> dict[str, Any]:
    rename = False
    for name, item in value.items():
        if type(item) not in _FITTING:
            value[name] = _fit_value(item, depth)
        if len(name) > LONGEST_KEY or not name.isidentifier():
            rename = True
    return {_fit_name(name): item for name, item in value.items()} if rename else value


def _fit_name(name: str) -> str:
    stored = stored_name(name)
    if len(stored) > LONGEST_KEY:
        raise ValueError(f"A property's name has at most {LONGEST_KEY} characters.")
    return stored


def _fit_value(value: Any, depth: int) -> Any:
    if isinstance(value, dict | list):
        if depth >= DEEPEST:
            return _AS_TEXT.encode(value).decode()
        if isinstance(value, dict):
            return _fit_object(value, depth + 1)
        return [item if type(item) in _FITTING else _fit_value(item, depth + 1) for item in value]
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if abs(value) > LARGEST_INTEGER else value
