"""Give customers the keys by which they are searched, matched and told apart.

Customers that the first release wrote have neither ``email_keys`` nor ``search_keys`` nor ``match_keys``; without the
first, an e-mail address breaks a rule of the contract. All follow from what is stored of the customer. Nobody is
overwritten who writes one meanwhile, in the old form or the new: a change is bound to the version that was read.
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
