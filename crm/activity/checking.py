"""Stored activity against the events; right also while others write.

The service tells what it hears of within a second. So a difference counts only where, some seconds later, it is still
the same and nobody has written since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from crm.activity import projection, queries
from crm.activity.activities import COMPARABLE, alike, with_its_cart
from crm.activity.documents import Activity
from crm.activity.watermarks import Watermarks
from crm.clock import now
from crm.compared import Compared
from crm.customers import service as customers
from crm.database.driver import Database

_PATIENCE: Final = 3.0
#: A customer who does something all the time is looked at so often; then the service keeps the activity right.
_ROUNDS: Final = 4


async def catch_up(database: Database) -> None:
    """Tell what processes that may be gone left behind."""
    await Watermarks(database.timeout_ms, projection.tell_received).catch_up()


async def compare(after: str, limit: int) -> Compared:
    """Compare the stored activity of the customers whose ids come next with their events."""
    ids = list(await customers.stats_behind(after, limit))
    differing = await _differing(ids)
    wrong: set[str] = set()
    for _ in range(_ROUNDS):
        if not differing:
            break
        await asyncio.sleep(_PATIENCE)
        before, differing = differing, await _differing(list(differing))
        wrong |= {customer_id for customer_id, how in differing.items() if how == before[customer_id]}
        differing = {customer_id: how for customer_id, how in differing.items() if customer_id not in wrong}
    return Compared(len(ids), ids[-1] if len(ids) == limit else None, sorted(wrong))


async def repair(customer_ids: Sequence[str]) -> list[str]:
    """Tell it again; what cannot be written over is removed first. Returns those of whom it is wrong all the same."""
    await projection.project(customer_ids)
    if left := list(await _differing(customer_ids)):
        await Activity.stored().delete_many(queries.of_customers(left).filter)
        await projection.project(left)
    return list(await _differing(left))


async def orphans(after: str, limit: int) -> Compared:
    """Of the activity that comes next, that of customers who do not exist."""
    ids = [row["_id"] for row in await Activity.stored().find(queries.owners_behind(after, limit))]
    wrong = set(ids) - await customers.existing(ids)
    return Compared(len(ids), ids[-1] if len(ids) == limit else None, sorted(wrong))


async def _differing(customer_ids: Sequence[str]) -> dict[str, Any]:
    """Those whose activity differs, with what would change if anybody wrote or did anything."""
    moment = now()
    stats = await customers.stats_of(list(customer_ids))
    stored = await projection.stored_of(list(stats))
    told = await projection.told_each(list(stats))
    found = {}
    for customer_id, activity in told.items():
        present = stored.get(customer_id)
        seen_at = [row["last_seen_at"] for row in (present, activity) if row and "last_seen_at" in row]
        if seen_at and max(seen_at) < moment - COMPARABLE:
            continue  # some of its events may have been forgotten
        terms = projection.last_order_at(stats[customer_id]), moment, timedelta()
        if not alike(with_its_cart(present or {}, *terms), with_its_cart(activity or {}, *terms)):
            found[customer_id] = ((present or {}).get("revision"), activity)
    return found
