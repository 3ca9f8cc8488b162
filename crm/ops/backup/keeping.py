"""Which backups are kept. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Keep:
    """How many are kept: the newest of each of the last days, weeks and months that have one.

    Attributes:
        daily: Of so many days.
        weekly: Of so many weeks, which begin on Monday.
        monthly: Of so many months.
    """

    daily: int = 7
    weekly: int = 5
    monthly: int = 12


def kept(moments: Iterable[datetime], keep: Keep) -> set[datetime]:
    """Those of the backups to keep; the newest is always among them.

    Days without a backup do not count, so nothing is lost by a machine that was off for a month. All in UTC.
    """
    newest_first = sorted(set(moments), reverse=True)
    out = set(newest_first[:1])
    rules: list[tuple[int, Callable[[datetime], object]]] = [
        (keep.daily, lambda at: at.date()),
        (keep.weekly, lambda at: at.isocalendar()[:2]),
        (keep.monthly, lambda at: (at.year, at.month)),
    ]
    for many, period in rules:
        newest: dict[object, datetime] = {}
        for at in newest_first:
            newest.setdefault(period(at), at)
        out |= set(list(newest.values())[: max(many, 0)])
    return out
