"""When a disk is full, if it goes on filling as it does. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from crm.growth.schemas import Measured

#: Less says nothing: a day has an afternoon and a night.
SHORTEST: Final = timedelta(days=1)
_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to be expected.

    Attributes:
        over: From the first to the last measurement.
        a_day: Bytes by which the disk fills each day; less than 0 where it empties.
        days_left: Until it is full; None where it does not fill.
    """

    over: timedelta
    a_day: float
    days_left: float | None


def forecast(measured: Sequence[Measured]) -> Forecast | None:
    """By the straight line that fits what was measured best; None of less than two measurements a day apart.

    Args:
        measured: The earliest first.
    """
    if not measured or (over := measured[-1].at - measured[0].at) < SHORTEST:
        return None
    begun = measured[0].at
    points = [((one.at - begun).total_seconds() / _DAY, float(one.disk_used)) for one in measured]
    a_day = slope(points)
    last = measured[-1]
    left = max(0, last.disk_total - last.disk_used)
    return Forecast(over, a_day, left / a_day if a_day > 0 else None)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """How steep the line is that fits these points best, by least squares.

    Args:
        points: At least two of them with another first number.
    """
    middle = sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
    across = sum((x - middle[0]) * (y - middle[1]) for x, y in points)
    return across / sum((x - middle[0]) ** 2 for x, _ in points)


def grown(measured: Sequence[Measured], collection: str) -> tuple[float, float] | None:
    """By how many documents and bytes a collection grew each day; None where nobody can tell."""
    known = [one for one in measured if collection in one.collections]
    if not known or (known[-1].at - known[0].at) < SHORTEST:
        return None
    days = (known[-1].at - known[0].at).total_seconds() / _DAY
    first, last = known[0].collections[collection], known[-1].collections[collection]
    return (last[0] - first[0]) / days, (last[1] - first[1]) / days
