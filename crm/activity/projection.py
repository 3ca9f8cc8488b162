"""Tells customers' activity from their events, and writes it where nobody wrote a newer one.

Always from the events as they are stored, never from those that just came: right under duplicates, reordering, retries
and identities that turn out to be somebody's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from crm.activity import queries
from crm.activity.activities import COUNTED, MOST_EVENTS, activity_of, alike
from crm.activity.carts import KEPT
from crm.activity.documents import Activity
from crm.clock import now
from crm.customers import service as customers
from crm.database.collection import Row, Write
from crm.errors import AlreadyExists, InvalidInput, Unavailable
from crm.events import service as events
from crm.identities import service as identities

log = structlog.get_logger("crm.activity")

#: Identities whose owners are asked for together, and customers that are read and written together.
_IDENTITIES: Final = 1_000
_CUSTOMERS: Final = 200
_ROUNDS: Final = 20
#: Slices of a span of time whose identities are looked up together.
_SLICE: Final = timedelta(seconds=5)
_PAGE: Final = 10_000


async def tell(identity_ids: Iterable[str]) -> None:
    """Tell the activity of whoever is behind some identities, now."""
    for some in _parts(sorted(identity_ids), _IDENTITIES):
        await project((await identities.owners(some)).values())


async def tell_received(start: datetime, end: datetime) -> None:
    """Tell the activity of everybody of whom anything was received in ``[start, end)``."""
    while start < end:
        until, after = min(start + _SLICE, end), ""
        while found := await events.identities_received_between(start, until, after, _PAGE):
            await tell(found)
            after = found[-1]
        start = until


async def project(customer_ids: Iterable[str]) -> None:
    """Write some customers' activity as their events tell it now.

    Raises:
        Unavailable: The database is away, or too many write the same at once.
    """
    for some in _parts(sorted(set(customer_ids)), _CUSTOMERS):
        left: Collection[str] = some
        for _ in range(_ROUNDS):
            if not left or not (left := await _write(left)):
                break
        else:
            raise Unavailable("A customer's activity is being written by too many at once.", retry_after=1)


async def told_each(customer_ids: Sequence[str]) -> dict[str, Row | None]:
    """What events tell of some customers; None where there are none."""
    theirs = await identities.identities_of_each(customer_ids)
    latest = await events.latest_of_each(theirs, MOST_EVENTS, fields=COUNTED)
    return {customer_id: await _told(theirs[customer_id], latest[customer_id]) for customer_id in customer_ids}


async def stored_of(customer_ids: Sequence[str]) -> dict[str, Row]:
    """What is stored of some customers."""
    rows = await Activity.stored().as_applied().find(queries.of_customers(customer_ids))
    return {row["_id"]: row for row in rows}


def last_order_at(stats: Mapping[str, Any] | None) -> datetime | None:
    """When a customer last ordered, by what is stored of the totals."""
    at: datetime | None = (stats or {}).get("last_order_at")
    return at


async def _told(identity_ids: Sequence[str], latest: Sequence[Row]) -> Row | None:
    if len(latest) < MOST_EVENTS:
        return activity_of(latest, latest)  # these are all
    since = now() - 2 * KEPT
    return activity_of(latest, await events.commerce_of(identity_ids, since, MOST_EVENTS, fields=COUNTED))


async def _write(customer_ids: Collection[str]) -> list[str]:
    """Write what differs from what is stored; returns the customers to try again, because others wrote meanwhile.

    Whoever writes last has read the events after the write before it, so the last one has seen them all.
    """
    stats = await customers.stats_of(list(customer_ids))  # those who were deleted are not in it
    stored = await stored_of(list(stats))
    told = await told_each(list(stats))
    writes: dict[str, Write] = {}
    gone: list[str] = []
    for customer_id, activity in told.items():
        before = stored.get(customer_id)
        if activity is None:
            gone += [customer_id] if before else []
            continue
        ordered_at = last_order_at(stats[customer_id])
        if ordered_at is not None and ordered_at >= activity.get("cart_at", ordered_at):
            activity.pop("cart", None)
            activity.pop("cart_at", None)
        if not alike(before, activity):
            filter_ = queries.at_revision(customer_id, before.get("revision") if before else 0)
            writes[customer_id] = Write(filter_, queries.told(activity, now()), upsert=before is None)
    await customers.seen(_newly_seen(stats, told))
    for customer_id in gone:
        await Activity.stored().delete_one(queries.at_revision(customer_id, stored[customer_id].get("revision")))
    return await _written(writes) if writes else []


async def _written(writes: Mapping[str, Write]) -> list[str]:
    customer_ids = list(writes)
    written = await Activity.stored().write_each(list(writes.values()))
    for place, error in written.errors.items():
        if isinstance(error, InvalidInput):
            # A rule refuses it: trying again mends nothing, and the others would wait for it.
            log.error("activity was refused", customer=customer_ids[place], rules=[e.detail for e in error.errors])
        elif not isinstance(error, AlreadyExists):
            raise error
    await _remove_orphans([customer_ids[place] for place in written.created])
    refused = sum(isinstance(error, InvalidInput) for error in written.errors.values())
    return [] if written.matched + len(written.created) + refused == len(writes) else customer_ids


async def _remove_orphans(created: Sequence[str]) -> None:
    """Take back what was written of customers who were deleted meanwhile: deleting removes what it finds there."""
    if created and (orphans := set(created) - await customers.existing(list(created))):
        await Activity.stored().delete_many(queries.of_customers(sorted(orphans)).filter)


def _newly_seen(stats: Mapping[str, Any], told: Mapping[str, Row | None]) -> dict[str, datetime]:
    seen = {}
    for customer_id, activity in told.items():
        before = (stats[customer_id] or {}).get("last_seen_at")
        if activity is not None and (before is None or before < activity["last_seen_at"]):
            seen[customer_id] = activity["last_seen_at"]
    return seen


def _parts(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
