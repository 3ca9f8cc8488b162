"""What orders tell other features: of a customer, of an id, of a number."""

from __future__ import annotations

import asyncio

from crm.database import driver
from crm.database.paging import Position
from crm.identity import Role
from crm.orders import mapping, projection, queries
from crm.orders.documents import Order
from crm.orders.schemas import OrderOut, OrderRefundOut


async def behind(customer_id: str, position: Position | None, limit: int) -> list[OrderOut]:
    """A customer's latest orders behind a position in time."""
    return [mapping.shape(o) for o in await Order.fetch_all(queries.customer_behind(customer_id, position, limit))]


async def latest(customer_id: str, limit: int) -> list[OrderOut]:
    """A customer's latest orders; the totals show every order that was stored before this call when it returns.

    One command, but for a customer whose totals are due at this moment.
    """
    with driver.acting_within(Role.INGEST):
        rows = await Order.stored().aggregate(queries.latest_and_due(customer_id, limit))
    orders = [row for row in rows if "due" not in row]
    if len(orders) < len(rows):
        await projection.settled(customer_id)
    return [OrderOut.model_validate(mapping.wire(row)) for row in orders]


async def refunds_behind(customer_id: str, position: Position | None, limit: int) -> list[OrderRefundOut]:
    """A customer's latest refunds behind a position in time."""
    latest = None if position is None else position[0]
    orders = await Order.fetch_all(queries.refunded_behind(customer_id, latest))
    refunds = [refund for order in orders for refund in mapping.refunds_of(order)]
    behind = [refund for refund in refunds if position is None or (refund.refund.at, refund.id) < position]
    return sorted(behind, key=lambda refund: (refund.refund.at, refund.id), reverse=True)[:limit]


async def existing(order_ids: list[str]) -> set[str]:
    """Which of these ids are orders."""
    return {row["_id"] for row in await Order.stored().find(queries.by_ids(order_ids))} if order_ids else set()


async def owners_called(text: str, most: int) -> list[str]:
    """Whose the orders are of a number, with or without the ``#`` of some shops, or of an id in any system.

    Args:
        text: Number or id.
        most: Orders that are looked at, of each.

    Returns:
        Customer ids, those of the latest orders first.
    """
    numbers = [text, text[1:]] if text.startswith("#") and len(text) > 1 else [text, f"#{text}"]
    reads = queries.numbered(numbers, most), queries.called(text, most)
    found = await asyncio.gather(*map(Order.stored().find, reads))
    return list(dict.fromkeys(row["customer_id"] for rows in found for row in rows if "customer_id" in row))
