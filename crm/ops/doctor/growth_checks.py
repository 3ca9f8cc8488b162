"""Section ``growth``: how large the store is, how fast it grows, and when the disk is full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from crm.clock import now
from crm.contracts import contract
from crm.database.disk import disk
from crm.database.sizes import sizes
from crm.growth import service as growth
from crm.growth.schemas import Measured
from crm.ops.doctor.findings import Checked, amber, note, red, stated
from crm.ops.doctor.forecast import Forecast, forecast, grown
from crm.ops.doctor.visit import Visit

_SOON: Final = 14.0  # days
_LATER: Final = 60.0
_MB: Final = 1e6


async def look(visit: Visit) -> list[Checked]:
    """Measure, keep the measurement, and compare it with those of the last 90 days."""
    names = [collection.name for collection in contract().collections]
    room, found = await disk(visit.database), await sizes(visit.database, names)
    taken = {name: (size.documents, size.stored + size.indexes) for name, size in found.items()}
    measured = Measured(now(), room.used, room.total, taken)
    lately = await growth.lately(measured)
    await growth.note(measured)
    figures = _figures(lately)
    stored = sum(bytes_ for _, bytes_ in taken.values())
    sized = Checked("sizes", len(figures), f"collections, {stored / _MB:,.1f} MB on disk", figures=figures)
    return [sized, judged(forecast(lately), len(lately))]


def _figures(lately: Sequence[Measured]) -> tuple[Mapping[str, Any], ...]:
    rows: list[dict[str, Any]] = []
    for name, (documents, stored) in lately[-1].collections.items():
        each_day = grown(lately, name)
        row = {"collection": name, "documents": documents, "MB": round(stored / _MB, 2)}
        if each_day is not None:
            row |= {"documents a day": round(each_day[0]), "MB a day": round(each_day[1] / _MB, 2)}
        rows.append(row)
    return tuple(sorted(rows, key=lambda row: -row["MB"]))


def judged(expected: Forecast | None, samples: int) -> Checked:
    """What a forecast means."""
    if expected is None:
        says = f"{'One measurement says' if samples < 2 else 'Measurements of less than a day say'} nothing of growth."
        return stated("forecast", "none yet", note(says, "Run this once a day: each run keeps one measurement."))
    over = f"in {expected.over.days} days, {samples} measurements"
    rate = f"{expected.a_day / _MB:+,.1f} MB a day {over}"
    if expected.days_left is None:
        return stated("forecast", f"not full at this rate: {rate}")
    days = expected.days_left
    says = f"The disk is full in {days:,.0f} days if it goes on like this: {rate}, whatever it is that fills it."
    do = "Make it larger; see which collection grows (`--only growth`), and what else is on that disk."
    if days < _SOON:
        return stated("forecast", f"full in {days:,.0f} days", red(says, do))
    return stated("forecast", f"full in {days:,.0f} days: {rate}", amber(says, do) if days < _LATER else None)
