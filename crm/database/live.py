"""What a database has now: collections, indexes, roles and users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crm.database.failures import driver_errors

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

    DB = AsyncIOMotorDatabase[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Live:
    """What the database has now."""

    collections: Mapping[str, dict[str, Any]]
    indexes: Mapping[str, dict[str, dict[str, Any]]]
    roles: Mapping[str, dict[str, Any]]
    users: Mapping[str, dict[str, Any]]


async def look(db: DB) -> Live:
    """Read what is live. Needs listCollections, listIndexes, viewRole and viewUser."""
    with driver_errors():
        collections = {c["name"]: c async for c in await db.list_collections()}
        indexes = {
            name: {i["name"]: dict(i) async for i in db[name].list_indexes()}
            for name, info in collections.items()
            if info["type"] == "collection" and not name.startswith("system.")
        }
        roles = await db.command("rolesInfo", 1, showPrivileges=True)
        users = await db.command("usersInfo", 1)
    return Live(
        collections,
        indexes,
        {r["role"]: r for r in roles["roles"]},
        {u["user"]: u for u in users["users"]},
    )
