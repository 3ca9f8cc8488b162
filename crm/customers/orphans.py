"""What names customers who do not exist, nor became one with another: right also while others write.

Whatever is of a customer is removed before the customer is. So what names one who is not there is looked for once more:
if they were just being deleted, it is gone by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from crm.compared import Orphaned
from crm.customers import following, queries
from crm.customers.documents import ConsentEntry, Customer, CustomerChange
from crm.database.collection import Collection
from crm.database.query import Filter, Query

#: Ids of what names somebody who is missing that are told.
_TOLD: Final = 20


async def missing(customer_ids: Iterable[str]) -> list[str]:
    """Those of some ids that lead to nobody."""
    asked = sorted(set(customer_ids))
    there = {row["_id"] for row in await Customer.stored().find(queries.by_ids(asked))} if asked else set()
    heirs = await following.heirs(set(asked) - there)
    return [customer_id for customer_id in asked if customer_id not in there and customer_id not in heirs]


async def told(collection: Collection, of: Filter) -> tuple[int, list[str]]:
    """How many documents there are of that kind, and ids of some of them."""
    some = await collection.find(Query(of, limit=_TOLD, projection=("_id",)))
    if len(some) < _TOLD:
        return len(some), [row["_id"] for row in some]
    return await collection.count(of, at_most=2**31 - 1), [row["_id"] for row in some]


async def orphaned(
    collection: Collection, behind: Callable[[str, int], Query], of: Callable[[str], Filter], after: str, limit: int
) -> Orphaned:
    """What names nobody who exists, of the documents whose customers' ids come next.

    Args:
        collection: Of documents with a ``customer_id``.
        behind: Reads whose come next.
        of: Those of one customer.
        after: Id of a customer.
        limit: How many documents to read.
    """
    rows = await collection.find(behind(after, limit))
    named = {row["customer_id"] for row in rows}
    found = {gone: await told(collection, of(gone)) for gone in await missing(named)}
    last = rows[-1]["customer_id"] if len(rows) == limit else None
    return Orphaned(len(named), last, {gone: some for gone, some in found.items() if some[0]})


async def changes_orphaned(after: str, limit: int) -> Orphaned:
    """The changes of nobody who exists, of those whose customers' ids come next."""
    changes = CustomerChange.stored()
    return await orphaned(changes, queries.changes_owners_behind, lambda gone: queries.changes_of([gone]), after, limit)


async def consents_orphaned(after: str, limit: int) -> Orphaned:
    """The ledger's consents of nobody who exists, of those whose customers' ids come next."""
    entries, behind = ConsentEntry.stored(), queries.entries_owners_behind
    return await orphaned(entries, behind, lambda gone: queries.entries_of([gone]).filter, after, limit)
