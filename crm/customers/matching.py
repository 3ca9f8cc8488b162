"""What records of one person share, for whoever looks for duplicates."""

from __future__ import annotations

from crm.customers import queries
from crm.customers.documents import Customer


async def keys_behind(after: str, limit: int) -> dict[str, list[str]]:
    """What the customers whose ids come next may share with others, by id and in their order."""
    rows = await Customer.stored().find(queries.match_keys_behind(after, limit))
    return {row["_id"]: row.get("match_keys") or [] for row in rows}


async def sharing(keys: list[str], limit: int) -> dict[str, list[str]]:
    """What the customers have who have one of these keys, by id; at most ``limit`` of them."""
    rows = await Customer.stored().find(queries.sharing(keys, limit))
    return {row["_id"]: row["match_keys"] for row in rows}


async def estimated_count() -> int:
    """About how many customers there are: for a progress bar."""
    return await Customer.stored().estimated_count()
