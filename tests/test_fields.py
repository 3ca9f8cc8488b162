"""The bounds of every field that clients fill in: what BSON or another driver could not hold is refused at the edge."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from crm import fields
from crm.web.schemas import WireIn

pytestmark = pytest.mark.fast

_MOMENT = TypeAdapter[datetime](fields.Moment)
_LINE = TypeAdapter[str](fields.Line)


class Body(WireIn):
    """A body as clients send it: strict."""

    attributes: fields.Attributes = {}
    at: fields.Moment | None = None
    email: fields.Email | None = None
    phone: fields.Phone | None = None
    amount: fields.AmountText | None = None
    currency: fields.Currency | None = None
    country: fields.Country | None = None


def attribute(value: Any) -> Any:
    return Body.model_validate({"attributes": {"k": value}}).attributes["k"]


def refused(**members: Any) -> str:
    """The text of the one error, which must not repeat what was sent."""
    with pytest.raises(ValidationError) as caught:
        Body.model_validate(members)
    (error,) = caught.value.errors()
    for value in members.values():
        assert not isinstance(value, str) or len(value) < 4 or value not in error["msg"]
    return str(error["msg"])


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31 12:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00+05:30", datetime(2026, 1, 31, 6, 30, tzinfo=UTC)),
        ("2026-01-01T00:30:00-23:59", datetime(2026, 1, 2, 0, 29, tzinfo=UTC)),
        ("2026-01-31T12:00:00-00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2024-02-29T12:00:00Z", datetime(2024, 2, 29, 12, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", fields.EARLIEST),
        ("2199-12-31T23:59:59.999Z", datetime(2199, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
        ("2026-01-31T12:00:00.1Z", datetime(2026, 1, 31, 12, 0, 0, 100000, tzinfo=UTC)),
        ("2026-01-31T12:00:00.123999999Z", datetime(2026, 1, 31, 12, 0, 0, 123000, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_utc_in_whole_milliseconds(text: str, read: datetime) -> None:
    moment = _MOMENT.validate_python(text)
    assert (moment, moment.utcoffset()) == (read, timedelta(0))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("2026-01-31T12:00:00", "needs an offset"),
        ("2026-02-28", "RFC 3339"),
        ("20260131T120000Z", "RFC 3339"),
        ("2026-W05-6T12:00:00Z", "RFC 3339"),
        ("1769860800", "RFC 3339"),
        (1769860800, "RFC 3339"),
        (1769860800.5, "RFC 3339"),
        (True, "RFC 3339"),
        ("2026-01-31T12:00:00Z ", "RFC 3339"),
        ("2026-01-31T12:00:00.1234567890Z", "RFC 3339"),
        ("２０２６-01-31T12:00:00Z", "RFC 3339"),
        ("now", "RFC 3339"),
        ("2016-12-31T23:59:60Z", "no such date"),  # a leap second that there was: BSON has none
        ("2026-02-30T12:00:00Z", "no such date"),
        ("2026-13-01T12:00:00Z", "no such date"),
        ("2026-01-31T24:00:00Z", "no such date"),
        ("2026-01-31T12:00:00+24:00", "no such date"),
        ("0000-01-01T00:00:00Z", "no such date"),
        ("0001-01-01T00:00:00+01:00", "out of range"),
        ("9999-12-31T23:59:59-01:00", "out of range"),
        ("1969-12-31T23:59:59Z", "between 1970 and 2200"),
        ("1970-01-01T00:00:00+00:01", "between 1970 and 2200"),
        ("2200-01-01T00:00:00Z", "between 1970 and 2200"),
    ],
)
def test_what_is_no_point_in_time_is_refused(value: Any, says: str) -> None:
    assert says in refused(at=value)


@given(
    st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30)), timezone(timedelta(hours=14))])
    )
)
@settings(max_examples=100)
def test_a_time_survives_any_number_of_readings(moment: datetime) -> None:
    try:
        read = _MOMENT.validate_python(moment.isoformat())
    except ValidationError:
        assert not fields.EARLIEST + timedelta(days=2) < moment < fields.LATEST - timedelta(days=2)
        return
    assert timedelta(0) <= moment - read < timedelta(milliseconds=1)
    assert _MOMENT.validate_python(read.isoformat()) == read


@given(st.text(st.sampled_from("0123456789-:.TZtz+ W"), max_size=30) | st.text(max_size=30))
@settings(max_examples=100)
def test_no_text_raises_anything_but_a_validation_error(text: str) -> None:
    try:
        read = _MOMENT.validate_python(text)
    except ValidationError:
        return
    assert fields.EARLIEST <= read < fields.LATEST


@pytest.mark.parametrize("kind", ["Line", "LongText", "ExternalId", "Sku", "Tag"])
def test_no_text_holds_nul(kind: str) -> None:
    adapter = TypeAdapter[str](getattr(fields, kind))
    assert adapter.validate_python("ok 李 \U0001f600 \n") == "ok 李 \U0001f600 \n"
    for wrong in ("\x00", "a\x00b", "a\n\x00", "a\x00"):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)


@pytest.mark.parametrize("value", ["text", "", True, False, 0, -(2**53), 2**53, 1.5, -0.0, 1e300])
def test_an_attribute_keeps_its_value_and_type(value: Any) -> None:
    read = attribute(value)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "value",
    [2**53 + 1, -(2**53) - 1, 10**400, math.inf, math.nan, None, [], ["x"], {}, {"$gt": ""}, "x" * 1001, "a\x00"],
)
def test_an_attribute_that_would_change_or_break_is_refused(value: Any) -> None:
    """2**53 + 1 once came out as the float 2**53."""
    with pytest.raises(ValidationError) as caught:
        attribute(value)
    (error,) = caught.value.errors()
    assert error["loc"] == ("attributes", "k")


@pytest.mark.parametrize("name", ["", "a.b", "$set", "a b", "ü", "a" * 65, "a\x00", "a\n", "__proto__."])
def test_the_name_of_an_attribute_is_safe_as_a_key(name: str) -> None:
    with pytest.raises(ValidationError):
        Body.model_validate({"attributes": {name: 1}})


def test_there_are_at_most_100_attributes() -> None:
    assert len(Body.model_validate({"attributes": {f"a{n}": n for n in range(100)}}).attributes) == 100
    assert "at most 100" in refused(attributes={f"a{n}": n for n in range(101)})


@pytest.mark.parametrize(("sent", "kept"), [(" Ann@Example.com ", "Ann@Example.com"), ("ann@faß.de", "ann@faß.de")])
def test_an_email_is_kept_as_typed_but_trimmed(sent: str, kept: str) -> None:
    assert Body.model_validate({"email": sent}).email == kept


@pytest.mark.parametrize("value", ["secret.person", "secret@person", "a\x00@b.com", "", 5])
def test_what_is_no_email_is_refused(value: Any) -> None:
    refused(email=value)


@pytest.mark.parametrize("value", ["ab", "call me maybe", "+-()/ 1 2", "1" * 41, 441632960123])
def test_what_is_no_phone_is_refused(value: Any) -> None:
    refused(phone=value)


@pytest.mark.parametrize("value", [12.5, 12, "12,5", "-1", "1e2", "", "12.50000", "1" * 13])
def test_an_amount_on_the_wire_is_a_string_of_digits(value: Any) -> None:
    refused(amount=value)


@pytest.mark.parametrize(
    ("field", "value"), [("currency", "XAU"), ("currency", "gbp"), ("country", "UK"), ("country", "gb")]
)
def test_codes_are_those_of_the_standards(field: str, value: str) -> None:
    refused(**{field: value})


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("SourceName", ["shopify-uk", "a", "9:b._-", "x" * 64], ["", "-a", "a b", "a/b", "x" * 65, "ü", "a\n"]),
        ("Identifier", ["cus_01JD", "evt_a"], ["cus", "cus_", "CUS_1", "cus_a-b", "toolong_1", "cus_1\n", "_1"]),
        ("Quantity", [1, 1_000_000], [0, -1, 1_000_001]),
        ("Version", [1, 2**53], [0, 2**53 + 1]),
    ],
)
def test_bounds(kind: str, good: list[Any], bad: list[Any]) -> None:
    adapter = TypeAdapter[Any](getattr(fields, kind))
    assert [adapter.validate_python(value, strict=True) for value in good] == good
    for value in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(value, strict=True)


@pytest.mark.parametrize(("text", "fits"), [("x", True), ("x" * 200, True), ("", False), ("x" * 201, False)])
def test_a_line_has_1_to_200_characters(text: str, fits: bool) -> None:
    if fits:
        assert _LINE.validate_python(text) == text
    else:
        with pytest.raises(ValidationError):
            _LINE.validate_python(text)
