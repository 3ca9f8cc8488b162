"""Split the name of an order's shipping address into its parts."""

from __future__ import annotations

from typing import Any, Final

from crm.changes.declared import Batch
from crm.database import driver
from crm.database.collection import Write
from crm.database.query import Query

COLLECTION: Final = "orders"
_READ: Final = ("shipping_address.name", "recipient")


async def batch(after: str, limit: int) -> Batch:
    """Write the parts of the next names that have other ones, or none."""
    orders = driver.collection(COLLECTION)
    rows = await orders.find(Query({"_id": {"$gt": after}}, (("_id", 1),), limit, _READ))
    wrong = [row for row in rows if row.get("recipient") != parts_of(row)]
    if wrong:
        # Bound to the name that was read: the version before may write another at this moment.
        written = await orders.write_each(
            [Write({"_id": row["_id"], "shipping_address.name": name_of(row)}, change_of(row)) for row in wrong]
        )
        left = tuple(wrong[place]["_id"] for place in written.errors)
    else:
        left = ()
    return Batch(len(rows), len(wrong) - len(left), left, rows[-1]["_id"] if len(rows) == limit else None)


def name_of(row: dict[str, Any]) -> str | None:
    name: str | None = row.get("shipping_address", {}).get("name")
    return name


def parts_of(row: dict[str, Any]) -> dict[str, str] | None:
    name = name_of(row)
    if name is None:
        return None
    given, _, family = name.rpartition(" ")
    return {"given": given, "family": family} if given and family else {"given": name}


def change_of(row: dict[str, Any]) -> dict[str, Any]:
    parts = parts_of(row)
    return {"$unset": {"recipient": True}} if parts is None else {"$set": {"recipient": parts}}
