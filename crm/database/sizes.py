"""How much room the collections take, as MongoDB tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crm.database.driver import Database
from crm.database.failures import driver_errors
from crm.identity import Role


@dataclass(frozen=True, slots=True)
class Size:
    """Of one collection.

    Attributes:
        documents: How many.
        data: Bytes of all documents as they are in memory.
        stored: Bytes of them on disk, compressed.
        indexes: Bytes of all indexes, on disk; in memory about as many.
    """

    documents: int
    data: int
    stored: int
    indexes: int


async def sizes(database: Database, collections: Sequence[str]) -> dict[str, Size]:
    """The size of each of these collections that is there and has documents."""
    db = database.raw(Role.ADMIN)
    found = {}
    with driver_errors():
        for name in collections:
            stats = await db.command("collStats", name)
            if stats["count"]:
                found[name] = Size(stats["count"], stats["size"], stats["storageSize"], stats["totalIndexSize"])
    return found
