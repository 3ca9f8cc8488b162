"""Ids that sort and ids that repeat, and amounts as BSON keeps them."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime
from decimal import Decimal, Inexact, InvalidOperation, Overflow, Subnormal

import pytest
from bson import BSON, Decimal128
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from ulid import ULID

from crm.database import ids
from crm.database.ids import StoredAmount, StoredSum, derived_id, for_storage, new_id, to_bson
from crm.fields import Identifier

pytestmark = pytest.mark.fast

_parts = st.lists(st.text(max_size=8), max_size=4)
_AMOUNT = TypeAdapter[Decimal](StoredAmount)
_SUM = TypeAdapter[Decimal](StoredSum)
_IDENTIFIER = TypeAdapter[str](Identifier)


def test_ids_of_later_milliseconds_sort_behind() -> None:
    made = []
    for _ in range(5):
        made.append(new_id("cus"))
        time.sleep(0.002)
    assert made == sorted(made)


def test_ids_do_not_repeat_and_are_identifiers() -> None:
    made = {new_id("ord") for _ in range(1000)}
    assert len(made) == 1000
    assert all(_IDENTIFIER.validate_python(i).startswith("ord_") for i in made)


def test_a_derived_id_is_the_same_in_every_release() -> None:
    """Written out: it is stored, so that another algorithm would let everything in twice."""
    assert derived_id("evt", "shopify-uk", "m-1") == "evt_HYIRV6DJOGSG2YL3AH3TRMUPUU"
    assert derived_id("evt") == "evt_ZLTGSQOZ566UATSNRB2Y5JTWOA"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "bc"), ("ab", "c")),
        (("a", ""), ("", "a")),
        (("a",), ("a", "")),
        ((), ("",)),
        (("a\x00", "b"), ("a", "\x00b")),
        (("\x00\x00\x00\x01a",), ("", "a")),
        (("ä",), ("a\u0308",)),
    ],
)
def test_the_border_between_parts_counts(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert derived_id("evt", *one) != derived_id("evt", *other)


@given(_parts, _parts)
@settings(max_examples=150)
def test_derived_ids_are_equal_exactly_when_their_parts_are(one: list[str], other: list[str]) -> None:
    assert (derived_id("evt", *one) == derived_id("evt", *other)) is (one == other)
    _IDENTIFIER.validate_python(derived_id("evt", *one))


@given(st.binary(min_size=16, max_size=16))
def test_digits_are_those_of_rfc_4648(digest: bytes) -> None:
    value = int.from_bytes(digest) << 2
    assert ids._base32(value, ids._PAIRS) == base64.b32encode(digest).decode().rstrip("=")


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.binary(min_size=10, max_size=10))  # noqa: DTZ001
def test_a_dated_id_is_that_of_its_time(naive: datetime, chance: bytes) -> None:
    at = naive.replace(tzinfo=UTC)
    expected = ULID(int(at.timestamp() * 1000).to_bytes(6) + chance)
    assert ids.dated_id("ord", at, chance) == f"ord_{expected}"


def test_for_storage_leaves_out_what_is_none_and_turns_decimals() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    stored = for_storage(
        {"a": None, "b": Decimal("1.50"), "c": [{"d": None, "e": (Decimal("2"),)}], "f": moment, "g": False, "h": ""}
    )
    assert stored == {"b": Decimal128("1.50"), "c": [{"e": [Decimal128("2")]}], "f": moment, "g": False, "h": ""}
    assert BSON.encode(stored)


@given(st.decimals(0, 10**12, places=3))
@settings(max_examples=100)
def test_an_amount_comes_back_from_bson_digit_for_digit(amount: Decimal) -> None:
    stored = BSON.encode({"amount": to_bson(amount)}).decode()["amount"]
    read = _AMOUNT.validate_python(stored)
    assert str(read) == str(amount)
    assert str(_SUM.validate_python(to_bson(-amount))) == str(-amount)


@pytest.mark.parametrize("wrong", ["-0.01", "1000000000000.01", "NaN", "sNaN", "Infinity", "-Infinity"])
def test_no_stored_amount_is_negative_endless_or_too_large(wrong: str) -> None:
    with pytest.raises(ValidationError):
        _AMOUNT.validate_python(Decimal128(wrong))


@pytest.mark.parametrize(
    "wrong", ["1000000000000000.01", "-1000000000000000.01", "NaN", "sNaN", "Infinity", "-Infinity"]
)
def test_a_sum_may_be_negative_and_larger_but_not_endless(wrong: str) -> None:
    assert _SUM.validate_python(Decimal128("-1000000000000.01")) == Decimal("-1000000000000.01")
    with pytest.raises(ValidationError):
        _SUM.validate_python(Decimal128(wrong))


@given(st.decimals(allow_nan=True, allow_infinity=True))
@example(Decimal("-0"))
@example(Decimal("0E+3"))
@example(Decimal("1E+15"))
@example(Decimal("999999999999999.9999"))
@example(Decimal("9999999999999999999"))
@example(Decimal("18446744073709551616"))
@example(Decimal("99999999999999999999.99"))
def test_amounts_are_encoded_as_bson_does_it(amount: Decimal) -> None:
    try:
        expected = Decimal128(amount)
    except (Inexact, Overflow, Subnormal, InvalidOperation):
        assume(False)
    assert to_bson(amount).bid == expected.bid
