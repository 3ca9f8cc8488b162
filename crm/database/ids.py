"""Ids, amounts and the server's time as BSON knows them (with driver.py the only module that names bson)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, Final

from bson import CodecOptions, Decimal128, Timestamp, decode, encode
from pydantic import AwareDatetime, BeforeValidator, Field, WithJsonSchema
from ulid import ULID

from crm.money import LARGEST


def new_id(prefix: str) -> str:
    """A new id that sorts by time of creation: ``cus_01JD3Z…`` (a prefix that says of what, and a ULID)."""
    return f"{prefix}_{ULID()}"


def dated_id(prefix: str, at: datetime, chance: bytes) -> str:
    """The id that something of that time would have got, with given bytes in place of chance.

    Args:
        prefix: Says of what.
        at: Time of creation.
        chance: 10 bytes.
    """
    value = int(at.timestamp() * 1000) << 80 | int.from_bytes(chance)
    return f"{prefix}_{_base32(value, _CROCKFORD_PAIRS)}"


def derived_id(prefix: str, *parts: str) -> str:
    """The same id for the same parts: a durable guard against storing one thing twice.

    128 bits of BLAKE2b over the length-prefixed parts, so that ("a", "bc") and ("ab", "c") differ.
    """
    data = b""
    for part in parts:
        encoded = part.encode()
        data += len(encoded).to_bytes(4, "big") + encoded
    # RFC 4648 without padding: 130 bits are 26 digits.
    return f"{prefix}_{_base32(int.from_bytes(blake2b(data, digest_size=16).digest()) << 2, _PAIRS)}"


def _pairs(digits: str) -> list[str]:
    return [first + second for first in digits for second in digits]


_PAIRS: Final = _pairs("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
_CROCKFORD_PAIRS: Final = _pairs("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
_50_BITS: Final = (1 << 50) - 1
_30_BITS: Final = (1 << 30) - 1


def _base32(value: int, pairs: list[str]) -> str:
    """26 digits, in 0.8 µs: every event has two such ids; ``base64`` takes longer than all else."""
    a, b, c = value >> 80, value >> 30 & _50_BITS, value & _30_BITS
    return (
        f"{pairs[a >> 40]}{pairs[a >> 30 & 1023]}{pairs[a >> 20 & 1023]}{pairs[a >> 10 & 1023]}{pairs[a & 1023]}"
        f"{pairs[b >> 40]}{pairs[b >> 30 & 1023]}{pairs[b >> 20 & 1023]}{pairs[b >> 10 & 1023]}{pairs[b & 1023]}"
        f"{pairs[c >> 20]}{pairs[c >> 10 & 1023]}{pairs[c & 1023]}"
    )


def to_bson(amount: Decimal) -> Decimal128:
    """An amount as the database stores it."""
    return _decimal128(str(amount))


#: Where the exponent stands in the upper half of a Decimal128, and what stands there for 0.
_EXPONENT, _NO_EXPONENT = 49, 6176
#: So many digits fit into the lower half.
_DIGITS_OF_64_BITS: Final = 19


# Prices and zeros repeat, a dozen in an order. By its text, because equal decimals (0 and 0.00) are not stored alike.
@lru_cache(maxsize=5_000)
def _decimal128(text: str) -> Decimal128:
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    # bson takes a decimal apart digit by digit, in Python: 3.5 µs. A plain amount is put together in 0.6.
    if len(digits) <= _DIGITS_OF_64_BITS and digits.isdecimal():
        return Decimal128((_NO_EXPONENT - len(fraction) << _EXPONENT, int(digits)))  # type: ignore[arg-type]  # documented
    return Decimal128(text)


def from_bson(value: Any) -> Any:
    """A stored amount as a Decimal; anything else as it is."""
    return value.to_decimal() if isinstance(value, Decimal128) else value


# A minimum and a maximum: a minimum alone lets Infinity through the validator (measured on 6.0.5). They stand before
# BeforeValidator: after it Pydantic applies them, but leaves them out of the JSON schema, and so out of the validator.
_LARGEST_SUM: Final = LARGEST * 1000
StoredAmount = Annotated[Decimal, Field(ge=0, le=LARGEST, allow_inf_nan=False), BeforeValidator(from_bson)]
"""An amount that is not negative, stored as Decimal128."""
StoredSum = Annotated[
    Decimal, Field(ge=-_LARGEST_SUM, le=_LARGEST_SUM, allow_inf_nan=False), BeforeValidator(from_bson)
]
"""A sum of amounts, or a balance, which may be negative."""


def plain(value: Any) -> Any:
    """What is stored as plain Python data: decimals, times, and bytes as text (base64 where they are none)."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return _moment(from_bson(value))


#: In a field of a new document: the server puts its own time in its place before it validates the document.
SERVER_TIME: Final = Timestamp(0, 0)


def _moment(value: Any) -> Any:
    return datetime.fromtimestamp(value.time, UTC) if isinstance(value, Timestamp) else value


ServerTime = Annotated[
    AwareDatetime, BeforeValidator(_moment), WithJsonSchema({"bsonType": ["timestamp", "date"]}, mode="validation")
]
"""A time that the server itself has set, in whole seconds; in release 0.1.0 a date."""


_PLAIN: Final = frozenset({str, int, bool, datetime})


def for_storage(value: Any) -> Any:
    """Plain Python data as the driver takes it: Decimals become Decimal128, None values and their keys are left out."""
    if isinstance(value, dict):
        # Most values of most documents are plain or amounts: they cost no call of this function.
        return {
            key: item
            if (kind := type(item)) in _PLAIN
            else _decimal128(str(item))
            if kind is Decimal
            else for_storage(item)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, Decimal):
        return to_bson(value)
    if isinstance(value, list | tuple):
        return [for_storage(item) for item in value]
    return value


_AS_READ: Final[CodecOptions[dict[str, Any]]] = CodecOptions(tz_aware=True)


def to_bytes(row: Mapping[str, Any]) -> bytes:
    """A stored document to the byte, to be kept as one value: it comes back with whatever it has."""
    return encode(row)


def from_bytes(data: bytes) -> dict[str, Any]:
    """The document that ``to_bytes`` kept, as the driver returned it."""
    return decode(data, _AS_READ)
