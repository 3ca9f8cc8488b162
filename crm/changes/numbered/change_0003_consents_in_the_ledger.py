"""Enter the consents that customers have in the ledger.

The first release kept consents in the customer's document only, most of them without a key. Each gets one, and an
entry in ``consents`` in which nobody can alter it: from then on the ledger tells what the document should have.
"""

from __future__ import annotations

from typing import Final

from crm.changes.declared import Batch
from crm.customers import service as customers

COLLECTION: Final = "customers"


async def batch(after: str, limit: int) -> Batch:
    """Compare the consents of the next customers with the ledger, and enter those that it does not have."""
    found = await customers.compare_consents(after, limit)
    left = await customers.take_over_consents(found.wrong) if found.wrong else []
    return Batch(found.customers, len(found.wrong) - len(left), tuple(left), found.last)
