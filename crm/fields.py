"""The types of fields that stored documents and wire shapes share: bounded, so that no value can surprise BSON.

Strings exclude NUL (BSON keys cannot hold it and other clients cut at it), dates lie within years that every driver
reads, integers within 8 bytes.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from crm import contact, money

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)

_NO_NUL = r"^[^\x00]*$"
_TOO_FINE: Final = re.compile(r"(\.\d{6})\d+", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


def _read_moment(value: Any) -> Any:
    """Only an RFC 3339 string (or a datetime): Pydantic alone would also take epoch numbers and bare dates."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or _RFC3339.fullmatch(value) is None:
        raise ValueError('A time is an RFC 3339 string such as "2026-01-31T12:00:00Z".')
    try:
        return datetime.fromisoformat(_TOO_FINE.sub(r"\1", value.upper()) if "." in value else value.upper())
    except ValueError:
        raise ValueError("There is no such date or time.") from None


def _settle_moment(value: datetime) -> datetime:
    """UTC and whole milliseconds, which is what BSON keeps."""
    utc = value
    if value.tzinfo is not UTC:
        if value.tzinfo is None or value.utcoffset() is None:
            raise ValueError('A time needs an offset, such as "Z" or "+01:00".')
        try:
            utc = value.astimezone(UTC)
        except OverflowError:
            raise ValueError("This time is out of range.") from None
    if not EARLIEST <= utc < LATEST:
        raise ValueError(f"A time lies between {EARLIEST.year} and {LATEST.year}.")
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000) if utc.microsecond else utc


#: Not the tuples that they are made from: to go through one takes 3 µs.
_CURRENCIES: Final = frozenset(money.currencies())
_COUNTRIES: Final = frozenset(contact.countries())


def _known_currency(code: str) -> str:
    if code not in _CURRENCIES:
        raise ValueError("This is not the code of a currency (ISO 4217).")
    return code


def _known_country(code: str) -> str:
    if code not in _COUNTRIES:
        raise ValueError("This is not the code of a country (ISO 3166-1 alpha-2).")
    return code


def _email(text: str) -> str:
    contact.email_key(text)
    return text


def _phone(text: str) -> str:
    if sum(c.isdecimal() for c in text) < 3:
        raise ValueError("A phone number has at least three digits.")
    return text


def _none_if_blank(value: Any) -> Any:
    # What cannot be seen besides spaces: zero-width ones, marks of direction.
    is_blank = isinstance(value, str) and all(c.isspace() or unicodedata.category(c) == "Cf" for c in value)
    return None if is_blank and value else value


def _json(value: Any) -> Any:
    if not isinstance(value, str | bool | int | float | list | dict):
        raise ValueError("This is a value that JSON has.")
    return value


def _one_scalar(value: Any, scalar: ValidatorFunctionWrapHandler) -> Any:
    """One error in place of one for each type, at a pointer that leads to the value."""
    try:
        read = scalar(value)
        if type(read) is float and isinstance(value, int):  # too large for int, so Pydantic rounds it to a float
            raise ValueError("A whole number lies within ±2^53; send larger ones as text.")
        return read
    except ValidationError:
        raise ValueError("This is a text of at most 1,000 characters, a finite number, true or false.") from None


Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NO_NUL)]
"""One line of text: a name, a title, a street."""
PersonName = Annotated[
    Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_NO_NUL)] | None,
    BeforeValidator(_none_if_blank),
]
"""A part of somebody's name, if any: one of spaces only, as forms send it, is none."""
LongText = Annotated[str, StringConstraints(max_length=10_000, pattern=_NO_NUL)]
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NO_NUL)]
"""Another system's id, kept to the letter: slashes, spaces and any script are allowed."""
SourceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]
"""The name of a sending system, such as ``shopify-uk``."""
Sku = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=_NO_NUL)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=_NO_NUL)]
AttributeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,5}_[0-9A-Za-z]{1,64}$")]
"""One of our own ids; opaque to clients."""

Email = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=3, max_length=254, pattern=_NO_NUL), AfterValidator(_email)
]
Phone = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=contact.LONGEST_PHONE, pattern=_NO_NUL),
    AfterValidator(_phone),
    # The same in a pattern, for the database.
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 3,
            "maxLength": contact.LONGEST_PHONE,
            "pattern": r"^[^\x00]*(\d[^\x00]*){3}$",
        }
    ),
]
Currency = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z]{3}$"),
    AfterValidator(_known_currency),
    WithJsonSchema({"type": "string", "enum": list(money.currencies())}),
]
Country = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z]{2}$"),
    AfterValidator(_known_country),
    WithJsonSchema({"type": "string", "enum": list(contact.countries())}),
]
Moment = Annotated[datetime, BeforeValidator(_read_moment), AfterValidator(_settle_moment)]
"""A point in time, UTC, whole milliseconds."""
Quantity = Annotated[int, Field(ge=1, le=1_000_000)]
Version = Annotated[int, Field(ge=1, le=2**53)]
AmountText = Annotated[str, StringConstraints(pattern=money.AMOUNT_PATTERN)]
"""An amount on the wire: a decimal string such as ``"12.50"``; JSON numbers are refused, they are floats to most."""
AttributeValue = Annotated[
    Annotated[str, StringConstraints(max_length=1000, pattern=_NO_NUL)]
    | bool
    | Annotated[int, Field(ge=-(2**53), le=2**53)]
    | Annotated[float, Field(allow_inf_nan=False)],
    WrapValidator(_one_scalar),
]
JsonValue = Annotated[
    Any,
    AfterValidator(_json),
    WithJsonSchema({"bsonType": ["string", "bool", "int", "long", "double", "array", "object"]}),
]
"""A value of any shape, for a copy of another field."""
Attributes = Annotated[dict[AttributeName, AttributeValue], Field(max_length=100)]
"""A shop's own fields: at most 100, scalar."""
