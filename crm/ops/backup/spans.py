"""From where to where backups and slices reach, as the names of slices tell it: no file is read for that. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed

_MOMENT: Final = "%Y%m%dT%H%M%SZ"
_PLACE: Final = r"(\d{8}T\d{6}Z)-(\d{6,10})"
_NAME: Final = re.compile(rf"^([A-Za-z0-9_-]{{1,38}})-oplog-{_PLACE}-from-{_PLACE}$")


class Span(NamedTuple):
    """All that was written behind one place of the oplog, up to another.

    Attributes:
        after: The last entry that is in what comes before.
        last: The last entry that is in it.
    """

    after: OplogTime
    last: OplogTime


class Reach(NamedTuple):
    """Seconds to the beginning of each of which a store can be restored: the first and the last of them."""

    first: datetime
    last: datetime


def name_of(database: str, span: Span) -> str:
    """The name of the slice that goes so far; in the order of names is the order of ends."""
    return f"{database}-oplog-{_place(span.last)}-from-{_place(span.after)}"


def span_of(name: str, database: str) -> Span | None:
    """How far the slice of that name goes; None where it is not the name of one of that database."""
    found = _NAME.match(name)
    if found is None or found[1] != database:
        return None
    return Span(after=_time(found[4], found[5]), last=_time(found[2], found[3]))


def following(begins: OplogTime, spans: Iterable[Span]) -> list[Span]:
    """Those that lead on from a place without a gap, as far as they do.

    Args:
        begins: The last entry that a backup holds.
        spans: Any, in any order.
    """
    out: list[Span] = []
    reached = begins
    for span in sorted(spans, key=lambda one: one.last):
        if span.after <= reached < span.last:
            out.append(span)
            reached = span.last
    return out


def chain(spans: Iterable[Span], begins: OplogTime, until: OplogTime) -> list[Span]:
    """Those that lead from a backup to a moment without a gap.

    Args:
        spans: Any, in any order.
        begins: The last entry that the backup holds.
        until: Everything before that is wanted; later than ``begins``.

    Raises:
        BackupFailed: There is a gap, or they do not reach so far; says where they end.
    """
    found = following(begins, spans)
    needed = sum(span.last < until for span in found) + 1
    if needed > len(found):
        reached = found[-1].last if found else begins
        raise BackupFailed(
            f"What was written is known up to {reached.moment:%Y-%m-%d %H:%M:%S} UTC only: there is no slice that goes "
            "on from there."
        )
    return found[:needed]


def reaches(backups: Iterable[OplogTime], spans: Iterable[Span]) -> list[Reach]:
    """Every second that can be restored, as few reaches as that can be said with, the earliest first.

    Args:
        backups: The last entry that each holds.
        spans: Those of the slices.
    """
    every = sorted(spans, key=lambda one: one.last)
    out: list[Reach] = []
    for begins in sorted(backups):
        led = following(begins, every)
        # The second in which the backup's last entry was written had begun before it.
        first, last = begins.seconds + 1, led[-1].last.seconds if led else begins.seconds
        if first > last:
            continue
        found = Reach(datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC))
        if out and found.first <= out[-1].last + timedelta(seconds=1):
            found = Reach(out[-1].first, max(out.pop().last, found.last))
        out.append(found)
    return out


def _place(at: OplogTime) -> str:
    return f"{at.moment.strftime(_MOMENT)}-{at.ordinal:06d}"


def _time(moment: str, ordinal: str) -> OplogTime:
    at = datetime.strptime(moment, _MOMENT).replace(tzinfo=UTC)
    return OplogTime(int(at.timestamp()), int(ordinal))
