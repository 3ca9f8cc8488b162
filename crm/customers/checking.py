"""Stored keys of customers against what they follow from; right also while others write: both are in one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from crm.compared import Compared
from crm.customers import queries
from crm.customers.documents import Customer
from crm.customers.mapping import KEYED, with_keys
from crm.database.collection import Row, Write

#: A number's key may follow from a country that is not stored, so it is taken as it is.
_TYPED: Final = KEYED - {"phone"}


async def compare(after: str, limit: int) -> Compared:
    """Compare the keys of the customers whose ids come next."""
    rows = await Customer.stored().find(queries.keys_behind(after, limit))
    wrong = [row["_id"] for row in rows if differences(row) != {}]
    return Compared(len(rows), rows[-1]["_id"] if len(rows) == limit else None, wrong)


async def repair(customer_ids: Sequence[str]) -> list[str]:
    """Write the right keys; returns whose are wrong all the same."""
    rows = {row["_id"]: row for row in await Customer.stored().find(queries.keys_of(customer_ids))}
    writes = []
    for row in rows.values():
        if fields := differences(row):
            writes.append(Write(queries.at_version(row["_id"], row["version"]), queries.rekeyed(fields)))
    if writes:
        await Customer.stored().write_each(writes)
    return [row["_id"] for row in await Customer.stored().find(queries.keys_of(customer_ids)) if differences(row) != {}]


def differences(row: Row) -> Mapping[str, Any] | None:
    """The keys that would have to change, with what they should be; None where that cannot be told."""
    typed = {name: row.get(name) for name in _TYPED}
    try:
        right = with_keys(typed, None, row)
    except ValueError:
        return None  # what is stored as an e-mail address is none
    return {name: right[name] for name in right.keys() - _TYPED if right[name] != row.get(name)}
