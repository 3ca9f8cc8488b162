"""Orders follow their customer when he is merged, and come back when that is undone; totals follow the orders."""

from __future__ import annotations

from collections.abc import Sequence

from crm.orders import moving, projection


async def move(customer_id: str, to: str, by: Sequence[str]) -> int:
    """Move the orders of a customer who was merged, totals included; returns how many there were.

    Args:
        customer_id: The customer of before.
        to: The customer of now.
        by: The merges that led from the one to the other.
    """
    async with projection.changing([customer_id, to]):
        return await moving.move(customer_id, to, by)


async def move_back(customer_id: str, to: str, merge_id: str) -> int:
    """Move back the orders that a merge moved to a customer, totals included; returns how many there were."""
    async with projection.changing([customer_id, to]):
        return await moving.move_back(customer_id, to, merge_id)
