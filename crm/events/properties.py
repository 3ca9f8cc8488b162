"""Limits on the free part of an event, so that no sender can store what BSON or a reader cannot take. Pure."""

from __future__ import annotations

import math
import sys
from typing import Any, Final

DEEPEST: Final = 5
MOST_VALUES: Final = 500
LONGEST_TEXT: Final = 2000
LONGEST_KEY: Final = 100


_KEY: Final = r"^[^$.\x00][^.\x00]{0,99}$"
_SCALARS: Final[list[dict[str, Any]]] = [
    {"bsonType": "string", "maxLength": LONGEST_TEXT, "pattern": r"^[^\x00]*$"},
    {"bsonType": "bool"},
    {"bsonType": ["int", "long"], "minimum": -(2**53), "maximum": 2**53},
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
        if not harmless or not 1 <= len(key) <= LONGEST_KEY:
            raise ValueError(
                f"A property's name has 1 to {LONGEST_KEY} characters, no dot, no NUL and no dollar sign in front."
            )
        _check_value(item, depth, seen)


def _check_value(value: Any, depth: int, seen: list[int]) -> None:
    seen[0] += 1
    if seen[0] > MOST_VALUES:
        raise ValueError(f"Properties hold at most {MOST_VALUES} values.")
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
        raise ValueError(f"A text in properties has at most {LONGEST_TEXT} characters and no NUL.")
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**53) <= value <= 2**53:
        raise ValueError("A whole number in properties lies within ±2^53; send larger ones as text.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("A number in properties is finite.")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
