"""Let customers be searched by the names and telephones in their addresses.

``search_keys`` were made of a customer's own name and telephone. Who orders as a guest often gives both with the
parcel only. Of a database that change 0001 has just gone through nothing is left to do: it makes today's keys.
"""

from __future__ import annotations

from typing import Final

from crm.changes.declared import Batch
from crm.customers import service as customers

COLLECTION: Final = "customers"


async def batch(after: str, limit: int) -> Batch:
    """Compare the keys of the next customers with what they follow from, and write those that differ."""
    found = await customers.compare_keys(after, limit)
    left = await customers.repair_keys(found.wrong) if found.wrong else []
    return Batch(found.customers, len(found.wrong) - len(left), tuple(left), found.last)
