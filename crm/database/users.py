"""MongoDB users by name: created, given a password, removed, and who is signed in as them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from crm.database.failures import driver_errors
from crm.errors import Forbidden, NotConfigured, OperatorError

if TYPE_CHECKING:
    from crm.database.client import MongoDatabase

    DB = MongoDatabase[dict[str, Any]]


#: More operations and idle connections than a server of ours has.
_ALL: Final = 100_000


async def present(db: DB) -> set[str]:
    """The names of all users of our database."""
    return set(await _rights(db))


async def put(db: DB, name: str, password: str, *, like: Collection[str]) -> None:
    """Give a user this password; create it, with the rights of one that is there, where it is not.

    Raises:
        NotConfigured: None of them is there.
    """
    rights = await _rights(db)
    with driver_errors():
        if name in rights:
            await db.command("updateUser", name, pwd=password)
            return
        roles = next((rights[other] for other in like if other in rights), None)
        if roles is None:
            raise NotConfigured(f"There is no MongoDB user {name} (`crm db apply` makes it).")
        await db.command("createUser", name, pwd=password, roles=roles)


async def _rights(db: DB) -> dict[str, list[dict[str, str]]]:
    """The roles of each user."""
    with driver_errors():
        return {user["user"]: user["roles"] for user in (await db.command("usersInfo", 1))["users"]}


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
