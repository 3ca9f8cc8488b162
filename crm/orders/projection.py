"""A customer's totals, recomputed from the customer's orders: right under duplicates, reordering and retries.

Never incremented: a transaction with ``$inc`` on one hot customer collapses to 15 to 29 orders a second (measured),
and an increment that is lost or doubled stays wrong for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from typing import Any

from crm import money
from crm.clock import now
from crm.customers import service as customers
from crm.database.driver import Row
from crm.errors import Unavailable
from crm.orders import queries
from crm.orders.documents import Order
from crm.orders.single_flight import SingleFlight

_flights = SingleFlight()
_ROUNDS = 20


async def refresh(customer_ids: Iterable[str | None]) -> None:
    """Bring the totals of customers up to date with the orders stored before this call."""
    for customer_id in {c for c in customer_ids if c is not None}:
        await _flights.run(customer_id, partial(_recompute, customer_id))


async def _recompute(customer_id: str) -> None:
    """Read the revision, add up, write unless somebody else wrote since: then again.

    Whoever writes last has read the orders after the write before it, so the last one has seen them all.
    """
    for _ in range(_ROUNDS):
        revision = await customers.stats_revision(customer_id)
        if revision is None:
            # Deleted while an order was on its way: the order stays for the books, like those before it.
            await Order.stored().update_many(queries.detach_all(customer_id), queries.detached(now()))
            return
        rows = await Order.stored().aggregate(queries.stats(customer_id))
        if await customers.project_stats(customer_id, revision, totals(rows)):
            return
    raise Unavailable("The customer's totals are being changed by too many at once; try again.", retry_after=1)


def totals(rows: Iterable[Row]) -> dict[str, Any]:
    """The projection from the sums by currency. Refunds come with a later version."""
    found = list(rows)
    return {
        "orders_count": sum(row["count"] for row in found),
        "first_order_at": min((row["first"] for row in found), default=None),
        "last_order_at": max((row["last"] for row in found), default=None),
        "totals": [
            {"currency": row["_id"], "gross": gross, "refunded": money.zero(row["_id"]), "net": gross}
            for row in found
            for gross in [_decimal(row["gross"])]
        ],
    }


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))
