"""What the MongoDB user ``backup`` may: read what a backup is made of, in several databases, and write nothing.

MongoDB's own role ``backup`` may list every database, so mongodump, which dumps those it can list, would dump the
erasure ledger with ours. This one may not list: the server then tells of those databases only that it can read. A role
with rights in several databases lies in ``admin``, and only root may make or change it there; whether it is as declared
is told by what the user may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pymongo.errors import OperationFailure

from crm.database.failures import driver_errors
from crm.database.steps import Change, Step
from crm.identity import Role

if TYPE_CHECKING:
    from crm.database.steps import DB

_UNAUTHORIZED: Final = 13
_SEE: Final = ("listCollections", "listIndexes")
#: None of them is reached by a right on every collection of their database.
_OF_ADMIN: Final = ("system.roles", "system.users", "system.version")
_OF_CONFIG: Final = ("system.preimages",)


def name(database: str) -> str:
    """The role of ``backup``, in ``admin``."""
    return f"{database}_backup"


def privileges(database: str) -> list[dict[str, Any]]:
    """What it may, as MongoDB takes it."""
    return [
        _on(database, "", "collStats", "dbStats", "find", *_SEE),
        _on(database, "system.js", "find", "listIndexes"),
        _on("admin", "", "find", *_SEE),
        *(_on("admin", collection, "find", "listIndexes") for collection in _OF_ADMIN),
        _on("config", "", "find", *_SEE),
        *(_on("config", collection, "find", "listIndexes") for collection in _OF_CONFIG),
        _on("local", "oplog.rs", "find"),
    ]


def _on(database: str, collection: str, *actions: str) -> dict[str, Any]:
    return {"resource": {"db": database, "collection": collection}, "actions": sorted(actions)}


async def steps(db: DB) -> list[Step]:
    """The steps to it. Looking takes viewUser on our database, or viewRole on ``admin``; making them takes root."""
    role, declared = name(db.name), privileges(db.name)
    held = await _held(db, role)
    if held is not None and _by_resource(held) == _by_resource(declared):
        return []

    async def make(db: DB) -> None:
        admin = db.client["admin"]
        known = await admin.command("rolesInfo", {"role": role, "db": "admin"})
        command = "updateRole" if known["roles"] else "createRole"
        await admin.command(command, role, privileges=declared, roles=[])

    why = "reads what a backup is made of, in several databases"
    return [Step(Change.ADD if held is None else Change.ALTER, f"role {role} of admin", why, make)]


async def _held(db: DB, role: str) -> list[dict[str, Any]] | None:
    """What the role may; as far as it can be told by a user who has it, where ``admin`` may not be looked into."""
    with driver_errors():
        try:
            known = await db.client["admin"].command("rolesInfo", {"role": role, "db": "admin"}, showPrivileges=True)
            return next((one["privileges"] for one in known["roles"]), None)
        except OperationFailure as exc:
            if exc.code != _UNAUTHORIZED:
                raise
        asked = {"user": Role.BACKUP.value, "db": db.name}
        answer = await db.command("usersInfo", asked, showPrivileges=True)
        mine = [{"role": role, "db": "admin"}]
        return next((user["inheritedPrivileges"] for user in answer["users"] if user["roles"] == mine), None)


def _by_resource(rows: list[dict[str, Any]]) -> dict[tuple[str, str], set[str]]:
    out: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        resource = row["resource"]
        key = (str(resource.get("db", resource)), str(resource.get("collection", "")))
        out.setdefault(key, set()).update(row["actions"])
    return out
