"""Stored totals against the orders, and orders against the customers; right also while others write.

Whoever changes orders leaves a mark first, and removes it once the totals are stored with a new revision. So a
difference counts only where no mark names the customer and the revision is still the one that was compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from crm.clock import now
from crm.compared import Compared, Orphaned
from crm.customers import service as customers
from crm.database.collection import Row
from crm.database.ids import from_bson
from crm.errors import CrmError
from crm.orders import projection, queries
from crm.orders.documents import Order, OrderVersion, StatsDue

#: A customer who is pushed to all the time is looked at so often; then the pushes keep the totals right.
_ROUNDS: Final = 10
_MARKS: Final = 100


async def add_up_due() -> int:
    """Bring up to date the totals that are due now; returns how many customers' these were.

    The marks stay: behind one may stand a write that is still on its way. Whoever left it, or a service, removes it.
    """
    begun, after, due = now(), "", set[str]()
    while True:
        rows = await StatsDue.stored().find(queries.due_behind(after, _MARKS))
        marked = {customer_id for row in rows for customer_id in row["customer_ids"]} - due
        await projection.refresh_each(sorted(marked))
        due |= marked
        if len(rows) < _MARKS or rows[-1]["at"] > begun:
            return len(due)
        after = rows[-1]["_id"]


async def compare(after: str, limit: int) -> Compared:
    """Compare the customers whose ids come next; what is due for any of them is added up first."""
    stored = await customers.stats_behind(after, limit)
    wrong = await _confirmed(await _differing(stored))
    return Compared(len(stored), next(reversed(stored)) if len(stored) == limit else None, wrong)


async def repair(customer_ids: Sequence[str]) -> list[str]:
    """Add up again; returns those whose totals are wrong all the same."""
    await projection.refresh_each(list(customer_ids))
    return await _confirmed(list(customer_ids))


async def ownerless(after: str, limit: int) -> Orphaned:
    """The orders of nobody who exists, of those whose customers' ids come next."""
    rows = await Order.stored().find(queries.owners_behind(after, limit))
    named = sorted({row["customer_id"] for row in rows})
    missing = sorted(set(named) - await customers.existing(named))
    # Deleted while an order was on its way: the totals that are due detach it. Or merged: they move it.
    merged = await customers.heirs(missing)
    await projection.refresh_each(sorted(await _due(missing) | merged.keys()))
    found = {gone: await customers.orphans_told(Order.stored(), queries.of_customer(gone)) for gone in missing}
    last = rows[-1]["customer_id"] if len(rows) == limit else None
    return Orphaned(len(named), last, {gone: some for gone, some in found.items() if some[0]})


async def versions_ownerless(after: str, limit: int) -> Orphaned:
    """What orders of nobody who exists were before, of those whose customers' ids come next."""
    versions = OrderVersion.stored()
    return await customers.orphaned(
        versions, queries.versions_owners_behind, queries.versions_of_customer, after, limit
    )


async def versions_orphaned(after: str, limit: int) -> Orphaned:
    """What orders were before that do not exist, of those whose ids come next. No order is ever removed."""
    rows = await OrderVersion.stored().find(queries.versions_behind(after, limit))
    named = sorted({row["order_id"] for row in rows})
    there = {row["_id"] for row in await Order.stored().find(queries.by_ids(named))} if named else set()
    found = {
        gone: await customers.orphans_told(OrderVersion.stored(), queries.versions_of_orders([gone]))
        for gone in named
        if gone not in there
    }
    return Orphaned(len(named), rows[-1]["order_id"] if len(rows) == limit else None, found)


async def _confirmed(suspects: list[str]) -> list[str]:
    """Those of whom nothing changed while their orders were added up for comparison."""
    confirmed: list[str] = []
    for _ in range(_ROUNDS):
        if not suspects:
            break
        compared = await customers.stats_of(suspects)
        suspects = await _differing(compared)
        due = await _due(suspects)
        present = await customers.stats_of(suspects)
        sure = {
            c for c in suspects if c in present and c not in due and _revision(present[c]) == _revision(compared[c])
        }
        await projection.refresh_each(sorted(due))
        confirmed += sorted(sure)
        suspects = [c for c in suspects if c in present and c not in sure]
    return confirmed


async def _differing(stored: Mapping[str, Any]) -> list[str]:
    sums = await Order.stored().aggregate(queries.stats(list(stored))) if stored else []
    found = projection.by_customer(sums)
    return [customer_id for customer_id, stats in stored.items() if not _same(stats, found.get(customer_id, []))]


async def _due(customer_ids: list[str]) -> set[str]:
    if not customer_ids:
        return set()
    rows = await StatsDue.stored().find(queries.due_among(customer_ids))
    return {customer_id for row in rows for customer_id in row["customer_ids"]} & set(customer_ids)


def _revision(stats: Any) -> Any:
    return stats.get("revision") if isinstance(stats, Mapping) else None


def _same(stored: Any, sums: list[Row]) -> bool:
    """Whether this is what the orders add up to. Decimals compare by value: 5 and 5.00 are one sum."""
    try:
        totals = projection.totals(sums)
        present = {**stored, "totals": [{k: from_bson(v) for k, v in row.items()} for row in stored["totals"]]}
    except (CrmError, TypeError, KeyError, AttributeError):
        return False  # an order, or what is stored as totals, is none by the contract
    return all(present.get(name) == value for name, value in totals.items())
