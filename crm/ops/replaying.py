"""Erases again who was erased before, in a store that was restored."""

from __future__ import annotations

from collections.abc import Callable

from crm.errors import Conflict
from crm.identity import Principal
from crm.ledger import service as ledger
from crm.people import service as people


async def replay(principal: Principal, on_progress: Callable[[str, int], None]) -> int:
    """Look through the whole store for people of the ledger, and erase them; returns how many were found.

    Needs ``ledger.watching``.

    Raises:
        Conflict: The ledger was made with another key.
    """
    known = await ledger.known()
    if known is None:
        return 0
    if known.foreign:
        raise Conflict(
            f"{known.foreign:,} entries of the ledger were made with another CRM_ERASURE_KEY: set that one, for whom "
            "they mean cannot be told."
        )
    return await people.replay_all(principal, known, on_progress)
