"""Orders, and the records of their versions, follow a customer who is merged; totals follow the orders."""

from __future__ import annotations

from collections.abc import Sequence

from crm.clock import now
from crm.database.moving import in_batches, moved, moved_back
from crm.orders import queries
from crm.orders.documents import Order, OrderVersion


async def move(customer_id: str, to: str, by: Sequence[str]) -> int:
    """Move all orders of a customer who is none any more; returns how many there were.

    Args:
        customer_id: The customer of before.
        to: The customer of now.
        by: The merges that led from the one to the other.
    """
    versions, orders = OrderVersion.stored(), Order.stored()
    await in_batches(versions, queries.versions_of_customer(customer_id), moved(to, by, {}))
    return await in_batches(orders, queries.of_customer(customer_id), moved(to, by, {"updated_at": now()}))


async def move_back(customer_id: str, to: str, merge_id: str) -> int:
    """Move back what a merge moved to a customer and is theirs still; returns how many orders there were."""
    versions, orders = OrderVersion.stored(), Order.stored()
    await in_batches(versions, queries.versions_moved_by(customer_id, merge_id), moved_back(to, merge_id, {}))
    update = moved_back(to, merge_id, {"updated_at": now()})
    return await in_batches(orders, queries.moved_by(customer_id, merge_id), update)
