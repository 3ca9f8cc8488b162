"""Our roles that lie in ``admin``: one with rights in several databases, one with rights on the server.

``backup`` reads what a backup is made of, and writes nothing. MongoDB's own role of that name may list every database,
so mongodump, which dumps those it can list, would dump the erasure ledger with ours. This one may not list: the server
then tells of those databases only that it can read.

``doctor`` sees how the server is run, and no data: its options, parameters and statistics. MongoDB's own role
``clusterMonitor`` sees other databases' collections and users' connections too. The user ``admin`` has it.

Only root may make or change a role there; whether it is as declared is told by what the users who have it may.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pymongo.errors import OperationFailure

from crm.config import mongodb_users
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
#: How the server is run: no data.
OF_SERVER: Final = ("getCmdLineOpts", "getDefaultRWConcern", "getParameter", "serverStatus")
_Rights = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class RoleOfAdmin:
    """A role in ``admin``.

    Attributes:
        purpose: What it is called behind the name of our database.
        holder: The MongoDB user of ours that has it.
        why: What it is for.
        privileges: What it may, by the name of our database, as MongoDB takes it.
    """

    purpose: str
    holder: Role
    why: str
    privileges: Callable[[str], _Rights]

    def name(self, database: str) -> str:
        """Its name."""
        return f"{database}_{self.purpose}"


def _on(database: str, collection: str, *actions: str) -> dict[str, Any]:
    return {"resource": {"db": database, "collection": collection}, "actions": sorted(actions)}


def _for_backups(database: str) -> _Rights:
    return [
        _on(database, "", "collStats", "dbStats", "find", *_SEE),
        _on(database, "system.js", "find", "listIndexes"),
        _on("admin", "", "find", *_SEE),
        *(_on("admin", collection, "find", "listIndexes") for collection in _OF_ADMIN),
        _on("config", "", "find", *_SEE),
        *(_on("config", collection, "find", "listIndexes") for collection in _OF_CONFIG),
        _on("local", "oplog.rs", "find"),
    ]


def _for_the_doctor(_database: str) -> _Rights:
    return [{"resource": {"cluster": True}, "actions": sorted(OF_SERVER)}, _on("local", "oplog.rs", "collStats")]


BACKUP: Final = RoleOfAdmin("backup", Role.BACKUP, "reads what a backup is made of, in several databases", _for_backups)
DOCTOR: Final = RoleOfAdmin("doctor", Role.ADMIN, "sees how the server is run, and no data", _for_the_doctor)
ALL: Final[Sequence[RoleOfAdmin]] = (BACKUP, DOCTOR)


def held_by(role: Role) -> RoleOfAdmin | None:
    """The one that a user of ours has."""
    return next((one for one in ALL if one.holder is role), None)


async def steps(db: DB) -> list[Step]:
    """The steps to them. Looking takes viewUser on our database, or viewRole on ``admin``; making them takes root."""
    return [step for one in ALL for step in await _steps(db, one)]


async def _steps(db: DB, role: RoleOfAdmin) -> list[Step]:
    name, declared = role.name(db.name), role.privileges(db.name)
    held = await _held(db, role)
    if held is not None and _by_resource(held) == _by_resource(declared):
        return []

    async def make(db: DB) -> None:
        admin = db.client["admin"]
        known = await admin.command("rolesInfo", {"role": name, "db": "admin"})
        command = "updateRole" if known["roles"] else "createRole"
        await admin.command(command, name, privileges=declared, roles=[])

    return [Step(Change.ADD if held is None else Change.ALTER, f"role {name} of admin", role.why, make)]


async def _held(db: DB, role: RoleOfAdmin) -> _Rights | None:
    """What the role may; as far as it can be told by a user who has it, where ``admin`` may not be looked into."""
    name = role.name(db.name)
    with driver_errors():
        try:
            known = await db.client["admin"].command("rolesInfo", {"role": name, "db": "admin"}, showPrivileges=True)
            return next((one["privileges"] for one in known["roles"]), None)
        except OperationFailure as exc:
            if exc.code != _UNAUTHORIZED:
                raise
        users = [{"user": name, "db": db.name} for name in mongodb_users(role.holder)]
        answer = await db.command("usersInfo", users, showPrivileges=True)
    mine = {"role": name, "db": "admin"}
    user = next((user for user in answer["users"] if mine in user["roles"]), None)
    if user is None:
        return None
    if user["roles"] == [mine]:
        return list(user["inheritedPrivileges"])
    # Of one who has other roles, too, only what is on the resources of this one.
    own = _by_resource(role.privileges(db.name))
    return [row for row in user["inheritedPrivileges"] if _key(row["resource"]) in own]


def _key(resource: dict[str, Any]) -> tuple[str, str]:
    return str(resource.get("db", resource)), str(resource.get("collection", ""))


def _by_resource(rows: _Rights) -> dict[tuple[str, str], set[str]]:
    out: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        out.setdefault(_key(row["resource"]), set()).update(row["actions"])
    return out
