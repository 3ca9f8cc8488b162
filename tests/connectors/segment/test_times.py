"""When something happened, from what a client's clock says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.connectors.segment.refusals import Refusal
from crm.connectors.segment.times import parse, settle, skew
from crm.fields import EARLIEST

pytestmark = pytest.mark.fast

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ELEVEN = datetime(2026, 1, 31, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2026-01-31T11:00:00Z", ELEVEN),
        ("2026-01-31T11:00:00.000Z", ELEVEN),
        ("2026-01-31T11:00:00.123456+00:00", ELEVEN.replace(microsecond=123456)),
        ("2026-01-31T11:00:00.123456789Z", ELEVEN.replace(microsecond=123456)),
        ("2026-01-31T12:00:00+01:00", ELEVEN),
        ("2026-01-31T06:00:00-0500", ELEVEN),
        ("2026-01-31 11:00:00", ELEVEN),
        ("2026-01-31T11:00", ELEVEN),
        ("2026-01-31t11:00:00z", ELEVEN),
        (" 2026-01-31T11:00:00Z\n", ELEVEN),
        ("2026-01-31", ELEVEN.replace(hour=0)),
        ("20260131T110000Z", ELEVEN),
        (1769857200, ELEVEN),
        (1769857200000, ELEVEN),
        (1769857200.5, ELEVEN + timedelta(seconds=0.5)),
        ("1769857200", ELEVEN),
        ("1769857200000", ELEVEN),
        (0, EARLIEST),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("9999-12-31T23:59:59-12:00", datetime(9999, 12, 31, tzinfo=UTC)),
        (None, None),
        ("", None),
    ],
)
def test_times_are_read_as_clients_write_them(sent: Any, read: datetime | None) -> None:
    assert parse(sent) == read
    assert read is None or parse(sent).tzinfo is UTC  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "sent",
    ["now", "yesterday", "2026-13-01", "2026-02-30T00:00:00Z", "2026-01-31T24:00:01Z", "2026-01-31T23:59:60Z", "12:00",
     "31/01/2026", "0000-01-01", "0001-01-01T00:00:00+12:00", 1e300, float("inf"), float("nan"), -1e15,
     -62_135_596_801, 10**30, 253_402_300_800_000, "9" * 9_999,
     "Sat Jan 31 2026 11:00:00 GMT+0000", "٢٠٢٦-٠١-٣١", "2026-01-31T11:00:00+99:00", "x" * 100_000],
)  # fmt: skip
def test_what_is_no_time_is_refused(sent: Any) -> None:
    with pytest.raises(Refusal) as caught:
        settle(None, sent, None, NOW)
    assert (caught.value.code, caught.value.pointer) == ("invalid_timestamp", "/timestamp")


@given(st.text(max_size=30) | st.integers() | st.floats() | st.from_regex(r"[0-9-]{4,12}[T ]?[0-9:.]*[Z+-]?[0-9:]*"))
def test_any_value_is_a_time_or_none(sent: Any) -> None:
    try:
        read = parse(sent)
    except ValueError:
        return
    assert read is None or read.tzinfo is UTC


def at(minutes: float) -> str:
    return (NOW + timedelta(minutes=minutes)).isoformat()


@pytest.mark.parametrize(
    ("original", "given_", "sent_at", "minutes", "clock"),
    [
        # A right clock: what it says.
        (None, at(-5), at(0), -5, None),
        (at(-5), None, at(0), -5, None),
        (None, at(-5), None, -5, None),
        # Less than a second is the network's.
        (None, at(-5), at(-0.9 / 60), -5, None),
        (None, at(-5), at(0.9 / 60), -5, None),
        # An hour slow, an hour fast, ten years slow.
        (None, at(-65), at(-60), -5, "corrected"),
        (at(-65), None, at(-60), -5, "corrected"),
        (None, at(55), at(60), -5, "corrected"),
        (None, at(-5 - 5_256_000), at(-5_256_000), -5, "corrected"),
        # History: long past, with a right clock, and with an hour's slowness.
        (None, at(-525_600), at(0), -525_600, None),
        (None, at(-525_600), at(-60), -525_540, "corrected"),
        # Both: the shop gave the second one.
        (at(-1), at(-525_600), at(0), -525_600, None),
        (at(-61), at(-525_600), at(-60), -525_600, None),
        # To come: now; by less than a second nobody need know.
        (None, at(5), None, 0, "clamped"),
        (None, at(5), at(0), 0, "clamped"),
        (None, at(65), at(60), 0, "clamped"),
        (None, at(0.5 / 60), None, 0, None),
        (None, "9999-12-31T23:59:59Z", at(0), 0, "clamped"),
        (None, "9999-12-31T23:59:59Z", at(-5_256_000), 0, "clamped"),
        (None, 253_402_300_799_000, None, 0, "clamped"),
        # Nothing said: now.
        (None, None, at(-60), 0, None),
        ("", "", "", 0, None),
        # A sentAt that says nothing.
        (None, at(-5), "soon", -5, None),
        (None, at(-5), "0001-01-01T00:00:00Z", -5, None),
        (None, at(-5), "9999-12-31T23:59:59Z", -5, None),
        (None, at(-5), 1e300, -5, None),
        # A device that woke up in 1970, as it says itself; a time of 1969 that turns out to be now.
        (None, "1970-01-01T00:05:00Z", "1970-01-01T00:10:00Z", -5, "corrected"),
        (None, "1969-12-31T23:59:00Z", "1970-01-01T00:04:00Z", -5, "corrected"),
        (None, "1970-01-01T00:00:00Z", at(0), (EARLIEST - NOW).total_seconds() / 60, None),
    ],
)
def test_when_it_happened_by_our_clock(
    original: Any, given_: Any, sent_at: Any, minutes: float, clock: str | None
) -> None:
    assert settle(original, given_, skew(sent_at, NOW), NOW) == (NOW + timedelta(minutes=minutes), clock)


@pytest.mark.parametrize("sent", ["1969-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z", -1, "1905-01-01"])
def test_before_1970_nothing_happened(sent: Any) -> None:
    with pytest.raises(Refusal, match="1970"):
        settle(None, sent, None, NOW)
    with pytest.raises(Refusal) as caught:
        settle(sent, None, None, NOW)
    assert caught.value.pointer == "/originalTimestamp"


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_never_after_now_nor_before_1970_in_whole_milliseconds(
    original: datetime, given_: datetime, sent_at: datetime
) -> None:
    ahead, first, second = skew(sent_at.isoformat(), NOW), original.isoformat(), given_.isoformat()
    for said, given_time in ((first, None), (None, second), (first, second)):
        try:
            moment, _ = settle(said, given_time, ahead, NOW)
        except Refusal:
            continue
        assert EARLIEST <= moment <= NOW
        assert moment.microsecond % 1000 == 0
