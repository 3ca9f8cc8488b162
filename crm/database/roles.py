"""MongoDB roles and users as the contract declares them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crm.config import mongodb_users
from crm.database import roles_of_admin
from crm.database.contract import Contract
from crm.database.driver import name_apart
from crm.identity import Role

_DDL: Final = (
    "collMod", "collStats", "createCollection", "createIndex", "dropIndex", "indexStats", "listCollections",
    "listIndexes", "validate",
)  # fmt: skip
_SEE_COLLECTIONS: Final = ("collStats", "indexStats", "listCollections", "listIndexes")
_SEE_ROLES: Final = ("viewRole", "viewUser")

#: Whose roles lie in ``admin``: MongoDB's own, whose rights are not ours to describe, and one that spans databases.
_OF_ADMIN: Final = frozenset({Role.BACKUP, Role.RESTORE})


@dataclass(frozen=True, slots=True)
class Privilege:
    """Actions on one resource; ``collection`` "" is the database itself and every collection of it."""

    collection: str
    actions: frozenset[str]


@dataclass(frozen=True, slots=True)
class RoleDefinition:
    """A role in our database.

    Attributes:
        name: The role's name.
        privileges: What it may do.
        inherits: (role, database) pairs of MongoDB's own roles.
    """

    name: str
    privileges: tuple[Privilege, ...]
    inherits: tuple[tuple[str, str], ...] = ()

    def command(self, database: str) -> dict[str, Any]:
        """Arguments of createRole and updateRole."""
        return {
            "privileges": [
                {"resource": {"db": database, "collection": p.collection}, "actions": sorted(p.actions)}
                for p in self.privileges
            ],
            "roles": [{"role": role, "db": db} for role, db in self.inherits],
        }


@dataclass(frozen=True, slots=True)
class UserDefinition:
    """The MongoDB user of a role, in our database.

    Attributes:
        names: What it may be called; two while its secret is changed (``crm/ops/rotating.py``).
        roles: (role, database) pairs.
    """

    names: tuple[str, ...]
    roles: tuple[tuple[str, str], ...]


def roles_apart(contract: Contract) -> list[RoleDefinition]:
    """The roles of the database beside ours: what its collections grant. There only root issues DDL or removes."""
    out = []
    for role in Role:
        granted = [(c.name, frozenset(c.grants[role].split())) for c in contract.collections if role in c.grants]
        privileges = [Privilege(name, actions) for name, actions in granted]
        if role in {Role.ADMIN, Role.MIGRATOR}:  # who plans and checks
            privileges.append(Privilege("", frozenset((*_SEE_COLLECTIONS, *_SEE_ROLES))))
        if privileges:
            out.append(RoleDefinition(role.value, tuple(privileges)))
    return out


def role_definitions(contract: Contract, database: str) -> list[RoleDefinition]:
    """The roles of the contract: what each collection grants, and the few rights that span collections.

    No role here has ``bypassDocumentValidation``: the validators bind everyone but MongoDB's own ``restore``.
    """
    out = []
    for role in Role:
        if role in _OF_ADMIN:
            continue
        privileges = []
        for collection in contract.collections:
            dropping = {"dropCollection"} if role is Role.ADMIN else set()
            granted = frozenset(collection.grants.get(role, "").split()) | (dropping if collection.droppable else set())
            if granted:
                privileges.append(Privilege(collection.name, granted))
            if collection.view is not None and role in (*collection.view.roles, Role.ADMIN):
                privileges.append(Privilege(collection.view.name, frozenset({"find", *dropping})))
        privileges += _database_wide(role)
        inherits = (("userAdmin", database),) if role is Role.ADMIN else ()
        out.append(RoleDefinition(role.value, tuple(privileges), inherits))
    return out


def _database_wide(role: Role) -> list[Privilege]:
    if role is Role.ADMIN:
        # A right on every collection reaches none of the server's own.
        profile = Privilege("system.profile", frozenset({"find"}))
        return [Privilege("", frozenset((*_DDL, "dbStats", "find", *_SEE_ROLES))), profile]
    if role is Role.MIGRATOR:
        return [Privilege("", frozenset((*_DDL, "find", "insert", "update", *_SEE_ROLES)))]
    return []


def user_definitions(contract: Contract, database: str) -> list[UserDefinition]:
    """One user for each role, who has that role in the database beside ours too, where there is one of that name."""
    beside = name_apart(database)
    apart = {role.name for role in roles_apart(contract.apart)} if contract.apart else set()
    return [
        UserDefinition(
            mongodb_users(role),
            (*_roles_of(role, database), *(((role.value, beside),) if role.value in apart else ())),
        )
        for role in Role
    ]


def _roles_of(role: Role, database: str) -> list[tuple[str, str]]:
    own = [] if role is Role.BACKUP else [(role.value, "admin" if role in _OF_ADMIN else database)]
    there = roles_of_admin.held_by(role)
    return own if there is None else [*own, (there.name(database), "admin")]


def beyond(one: Mapping[str, frozenset[str]], other: Mapping[str, frozenset[str]]) -> list[str]:
    """What the first set of privileges has and the second has not: ``find, insert on orders`` for each resource."""
    more = {resource: actions - other.get(resource, frozenset()) for resource, actions in one.items()}
    return [f"{', '.join(sorted(actions))} on {resource}" for resource, actions in sorted(more.items()) if actions]
