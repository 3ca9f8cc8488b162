"""Keeps one measurement of each day, and gives them back."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from crm.growth import queries
from crm.growth.documents import GrowthSample
from crm.growth.schemas import Measured

#: A season comes back after a year.
KEPT: Final = timedelta(days=400)
#: A forecast goes by what happened lately.
LATELY: Final = timedelta(days=90)


async def note(measured: Measured) -> None:
    """Keep this measurement, in place of an earlier one of that day; what is too old goes."""
    sample = GrowthSample.model_validate(
        {
            "_id": f"{measured.at:%Y-%m-%d}",
            "at": measured.at,
            "disk_used": measured.disk_used,
            "disk_total": measured.disk_total,
            "collections": [
                {"name": name, "documents": documents, "stored": stored}
                for name, (documents, stored) in sorted(measured.collections.items())
            ],
        }
    )
    stored = GrowthSample.stored()
    await stored.update_one(queries.of_day(sample.id), queries.replaced_by(sample.as_stored()), upsert=True)
    await stored.delete_many(queries.before(f"{measured.at - KEPT:%Y-%m-%d}"))


async def lately(now: Measured) -> list[Measured]:
    """What was measured in the 90 days up to now, the earliest first; this one is the last of them."""
    rows = await GrowthSample.stored().find(queries.since(f"{now.at - LATELY:%Y-%m-%d}", LATELY.days + 1))
    earlier = [
        Measured(
            row["at"],
            row["disk_used"],
            row["disk_total"],
            {one["name"]: (one["documents"], one["stored"]) for one in row["collections"]},
        )
        for row in rows
        if row["_id"] != f"{now.at:%Y-%m-%d}"
    ]
    return [*earlier, now]
