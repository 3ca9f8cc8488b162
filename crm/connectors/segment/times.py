"""When something happened by our clock, from what a client's clock says. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from crm.connectors.segment.refusals import Refusal
from crm.events.messages import Clock
from crm.fields import EARLIEST, LATEST

Sent = str | int | float | None
_SECOND: Final = timedelta(seconds=1)
#: Numbers from here on are milliseconds: as seconds they would lie beyond the year 5138.
_MILLISECONDS: Final = 10**11
#: The last second of the year 9999.
_MOST: Final = 253_402_300_799
_AFTER_ALL: Final = datetime(9999, 12, 31, tzinfo=UTC)


def parse(sent: Sent) -> datetime | None:
    """A time in UTC; None where there is none.

    Read are ISO 8601 (without an offset it is UTC) and seconds or milliseconds since 1970, as a number or a text.

    Raises:
        ValueError: It is no time.
    """
    if sent is None or sent == "":
        return None
    if isinstance(sent, str):
        if sent.isascii() and sent.isdecimal() and len(sent) > 8:
            return _since_1970(int(sent[:20]))
        try:
            moment = datetime.fromisoformat(sent)
        except ValueError:
            moment = datetime.fromisoformat(sent.strip().upper())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else _in_utc(moment)
    return _since_1970(sent)


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        if moment.year > EARLIEST.year:
            return _AFTER_ALL
        raise ValueError("before the year 1") from None


def _since_1970(number: float) -> datetime:
    seconds = number / 1000 if abs(number) >= _MILLISECONDS else number
    if not 0 <= seconds <= _MOST:
        raise ValueError("before 1970, after the year 9999, or no number")
    return EARLIEST + timedelta(seconds=seconds)


def skew(sent_at: Sent, received_at: datetime) -> timedelta | None:
    """How far our clock is ahead of the client's, which said the first at our second; None where it does not matter.

    A time that cannot be read, or that no clock can show, says nothing about the clock. Less than a second is the
    network's.
    """
    try:
        sent = parse(sent_at)
    except ValueError:
        return None
    if sent is None or not EARLIEST <= sent < LATEST:
        return None
    ahead = received_at - sent
    return _whole_milliseconds(ahead) if abs(ahead) >= _SECOND else None


def settle(
    original: Sent, given: Sent, ahead: timedelta | None, received_at: datetime
) -> tuple[datetime, Clock | None]:
    """When it happened, in UTC and whole milliseconds, never after ``received_at``.

    Args:
        original: ``originalTimestamp``: the client's clock at the call.
        given: ``timestamp``. Beside an original it is the time that the shop gave (RudderStack's library for Node) or
            that Segment corrected before, so it stands as it is; alone it is what the client's clock said.
        ahead: What ``skew`` returned.
        received_at: Now.

    Raises:
        Refusal: It cannot be read, or lies before 1970.
    """
    try:
        first, second = parse(original), parse(given)
    except ValueError:
        raise _unreadable(given) from None
    moment = second or first
    if moment is None:
        return received_at, None
    clock: Clock | None = None
    if ahead is not None and (first is None or second is None):
        moment, clock = _shifted(moment, ahead), "corrected"
    if moment > received_at:
        return received_at, "clamped" if moment - received_at >= _SECOND else clock
    if moment < EARLIEST:
        raise _unreadable(given)
    beyond = moment.microsecond % 1000
    return (moment - timedelta(microseconds=beyond) if beyond else moment), clock


def _unreadable(given: Sent) -> Refusal:
    return Refusal("invalid_timestamp", "/timestamp" if given not in (None, "") else "/originalTimestamp")


def _whole_milliseconds(span: timedelta) -> timedelta:
    """Times that clients send in milliseconds stay such, and nothing has to be cut off each of them: 0.5 µs."""
    return span - timedelta(microseconds=span.microseconds % 1000)


def _shifted(moment: datetime, ahead: timedelta) -> datetime:
    try:
        return moment + ahead
    except OverflowError:
        return moment
