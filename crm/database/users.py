"""MongoDB users by name: created, given a password, removed, and who is signed in as them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from crm.database.failures import driver_errors
from crm.database.roles import user_definition
from crm.errors import Forbidden, OperatorError
from crm.identity import Role

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

    DB = AsyncIOMotorDatabase[dict[str, Any]]


#: More operations and idle connections than a server of ours has.
_ALL: Final = 100_000


async def present(db: DB) -> set[str]:
    """The names of all users of our database."""
    with driver_errors():
        return {user["user"] for user in (await db.command("usersInfo", 1))["users"]}


async def put(db: DB, name: str, password: str, role: Role) -> None:
    """Create a user of a role, or give the one that there is this password."""
    if name in await present(db):
        with driver_errors():
            await db.command("updateUser", name, pwd=password)
        return
    roles = [{"role": granted, "db": where} for granted, where in user_definition(role, db.name).roles]
    with driver_errors():
        await db.command("createUser", name, pwd=password, roles=roles)


async def remove(db: DB, name: str) -> None:
    """Remove a user: what is signed in as it may do nothing from then on."""
    with driver_errors():
        await db.command("dropUser", name)


async def signed_in(db: DB, names: Collection[str]) -> Counter[str]:
    """How many connections are signed in as which of these users, idle ones included.

    Raises:
        OperatorError: Whoever asks may not know; root may.
    """
    pipeline = [{"$currentOp": {"allUsers": True, "idleConnections": True}}]
    try:
        with driver_errors():
            # As a command: the stage refuses the read concern of our clients.
            answer = await db.client.admin.command("aggregate", 1, pipeline=pipeline, cursor={"batchSize": _ALL})
    except Forbidden:
        raise OperatorError("Only a user with the action `inprog`, such as root, sees who is signed in.") from None
    found: Counter[str] = Counter()
    for operation in answer["cursor"]["firstBatch"]:
        users = {user["user"] for user in operation.get("effectiveUsers", ()) if user["db"] == db.name}
        found.update(users.intersection(names))
    return found
