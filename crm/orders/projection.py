"""Customers' totals, added up again from their orders: right under duplicates, reordering and retries.

Never incremented: a transaction with ``$inc`` on one hot customer collapses to 15 to 29 orders a second (measured), and
an increment that is lost or doubled stays wrong for ever. Before orders are written, the customers whose totals will
change are written down (``stats_due``); the mark goes when their totals are stored. So a crash in between loses
nothing: another process, or the next start, finds the mark. A batch costs one mark, however many orders it has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

import structlog

from crm import money
from crm.clock import now
from crm.customers import service as customers
from crm.database import driver
from crm.database.collection import Row
from crm.database.driver import Database
from crm.database.ids import from_bson, new_id
from crm.errors import InvalidInput, Unavailable
from crm.identity import Role
from crm.orders import moving, queries
from crm.orders.documents import MOST_DUE, Order, OrderVersion, StatsDue
from crm.orders.projector import Projector
from crm.orders.single_flight import SingleFlight

log = structlog.get_logger("crm.orders")

_flights = SingleFlight()
_PROJECTOR: Final = "orders.projector"
_ROUNDS: Final = 20
#: Customers added up by one aggregation.
_TOGETHER: Final = 500
#: Beyond these, pushes wait for the totals: what is due stays small, and so does the lag.
_MOST_BEHIND: Final = 20_000
#: How long a process that takes over a mark may be at it.
_CLAIM: Final = timedelta(seconds=20)


@asynccontextmanager
async def running(database: Database) -> AsyncIterator[None]:
    """Add up in the background, for all that happens on this database within the block.

    Without it, whoever writes orders adds up before it goes on.
    """
    if _PROJECTOR in database.kept:
        yield  # another application on the same connection does it
        return
    projector = Projector(partial(_settle, database), partial(_take_over, database), most_behind=_MOST_BEHIND)
    async with projector.at_work():
        database.kept[_PROJECTOR] = projector
        try:
            yield
        finally:
            del database.kept[_PROJECTOR]


@asynccontextmanager
async def changing(customer_ids: Collection[str]) -> AsyncIterator[None]:
    """Write orders of these customers within the block: their totals follow, also when this process dies in it."""
    if not customer_ids:
        yield
        return
    database = driver.present().database
    projector: Projector | None = database.kept.get(_PROJECTOR)
    if projector is not None:
        await projector.room()
    mark = await _mark(sorted(customer_ids))
    # After a failure the mark stays: a write whose outcome is unknown may still arrive. Who asks for one of these
    # customers sees the mark, and when no write can arrive any more it is taken over.
    yield
    if projector is not None:
        projector.due(mark, customer_ids)
    else:
        await _settle(database, [mark], sorted(customer_ids))


async def settled(*customer_ids: str) -> bool:
    """Return once customers' totals show every order that was stored before this call; says whether any was due.

    Ids of before a merge are followed.
    """
    with driver.acting_within(Role.INGEST):
        due = await StatsDue.stored().count(queries.due_for(customer_ids), at_most=1)
    if due:
        with driver.acting_as(driver.present().database, Role.INGEST):  # whoever only reads writes here
            _log_refused(await refresh_each(customer_ids))
    return bool(due)


async def due_since() -> datetime | None:
    """When the totals became due that have waited longest, for whichever process; None where none are."""
    row = await StatsDue.stored().find_one(queries.due_longest())
    return None if row is None else row["at"]


async def refresh(customer_ids: Iterable[str]) -> None:
    """Add up the totals of customers from the orders that are stored now."""
    wanted = sorted(set(customer_ids))
    if len(wanted) == 1:
        await _flights.run(wanted[0], partial(_add_up, wanted))  # many readers of one customer share the work
        return
    for start in range(0, len(wanted), _TOGETHER):
        await _add_up(wanted[start : start + _TOGETHER])


async def refresh_each(customer_ids: Iterable[str]) -> dict[str, Exception]:
    """The same, where some may break the contract: returns those, and why. They must not keep the others waiting."""
    wanted = sorted(set(customer_ids))
    try:
        await refresh(wanted)
    except (InvalidInput, ArithmeticError, TypeError, KeyError) as exc:
        # Written around the contract: amounts that are infinite, or none at all.
        if len(wanted) == 1:
            return {wanted[0]: exc}
        refused: dict[str, Exception] = {}
        for customer_id in wanted:
            refused |= await refresh_each([customer_id])
        return refused
    return {}


async def _add_up(customer_ids: list[str]) -> None:
    """Read the revisions, add up, write where nobody else wrote since; the others again.

    Whoever writes last has read the orders after the write before it, so the last one has seen them all.
    """
    for _ in range(_ROUNDS):
        revisions = await customers.stats_revisions(customer_ids)
        if vanished := set(customer_ids) - revisions.keys():
            revisions |= await customers.stats_revisions(await _inherited(vanished))
        if not revisions:
            return
        found = by_customer(await Order.stored().as_applied().aggregate(queries.stats(list(revisions))))
        if await customers.project_stats({c: (r, totals(found.get(c, []))) for c, r in revisions.items()}):
            return
        customer_ids = list(revisions)
    raise Unavailable("The totals of a customer are being changed by too many at once; try again.", retry_after=1)


async def _inherited(vanished: Collection[str]) -> list[str]:
    """Settle orders that were on their way while their customer was merged or erased; returns whose they are now."""
    heirs = await customers.heirs(vanished)
    for customer_id in sorted(vanished):
        heir = heirs.get(customer_id)
        if heir is None:
            await detach(customer_id)
        elif heir.id != customer_id:  # else it is back: a merge was undone
            await moving.move(customer_id, heir.id, heir.by)
    return sorted({heir.id for heir in heirs.values()})


async def detach(customer_id: str) -> int:
    """Leave a deleted customer's orders to the books; returns how many there were."""
    await OrderVersion.stored().update_many(queries.versions_of_customer(customer_id), queries.versions_detached())
    return await Order.stored().update_many(queries.detach_all(customer_id), queries.detached(now()))


def by_customer(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The sums by customer and currency, of each customer."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["_id"]["customer"], []).append(row)
    return found


def totals(rows: list[Row]) -> dict[str, Any]:
    """One customer's projection from the sums by currency.

    Raises:
        InvalidAmount: An order, written around the contract, has no currency that is known.
    """
    return {
        "orders_count": sum(row["count"] for row in rows),
        "first_order_at": min((row["first"] for row in rows), default=None),
        "last_order_at": max((row["last"] for row in rows), default=None),
        "totals": [_sums(str(row["_id"].get("currency")), row) for row in rows],
    }


def _sums(currency: str, row: Row) -> dict[str, Any]:
    gross, refunded = (money.zero(currency) + _decimal(row[name]) for name in ("gross", "refunded"))
    return {"currency": currency, "gross": gross, "refunded": refunded, "net": gross - refunded}


async def _mark(customer_ids: list[str]) -> str:
    """Write down whose totals will change, journaled: the driver may repeat the orders' write on a restarted server."""
    with driver.acting_within(Role.INGEST):
        mark = new_id("due")
        await StatsDue.stored().insert({"_id": mark, "customer_ids": customer_ids[:MOST_DUE], "at": now()})
        return mark


async def _settle(database: Database, marks: list[str], customer_ids: list[str]) -> None:
    with driver.acting_as(database, Role.INGEST):
        _log_refused(await refresh_each(customer_ids))
        # One that comes back after a crash is settled once more.
        await StatsDue.stored().unjournaled().delete_many(queries.done(marks))


def _log_refused(refused: Mapping[str, Exception]) -> None:
    """The customer, or an order, breaks the contract: ``crm doctor`` tells, and adds up when that is mended."""
    for customer_id, error in refused.items():
        log.error("totals cannot be stored", customer=customer_id, error=type(error).__name__)


async def _take_over(database: Database) -> None:
    """Add up what a process that is gone left due: its writes have ended, or timed out, by then."""
    # Behind a mark stand three operations at most, each with its limit: after that no write can arrive any more.
    grace = timedelta(milliseconds=3 * database.timeout_ms + 5_000)
    with driver.acting_as(database, Role.INGEST):
        due = StatsDue.stored()
        while True:
            moment = now()
            row = await due.find_and_update(queries.orphaned(moment - grace, moment), queries.claimed(moment + _CLAIM))
            if row is None:
                return
            await _settle(database, [row["_id"]], row["customer_ids"])


def _decimal(value: Any) -> Decimal:
    amount = from_bson(value)
    return amount if isinstance(amount, Decimal) else Decimal(str(amount))
