"""The steps that bring MongoDB's roles and users to what is declared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from crm.database.roles import RoleDefinition, UserDefinition, beyond
from crm.database.steps import Change, Live, Step, canonical
from crm.errors import NotConfigured

if TYPE_CHECKING:
    from crm.database.steps import DB


#: Name of a command, the field that it takes, and what to put there.
_Commands = list[tuple[str, str, list[dict[str, Any]]]]


def role_steps(role: RoleDefinition, live: Live, database: str) -> Iterator[Step]:
    """What to grant to a role, and what to revoke."""
    command = role.command(database)
    present = live.roles.get(role.name)
    if present is None:

        async def create(db: DB) -> None:
            await db.command("createRole", role.name, **command)

        yield Step(Change.ADD, f"role {role.name}", f"{len(role.privileges)} resources", create)
        return
    have, want = present["privileges"], command["privileges"]
    lacking, extra = beyond(_privileges(want), _privileges(have)), beyond(_privileges(have), _privileges(want))
    inherited, declared = _names(present["roles"]), _names(command["roles"])
    # Not updateRole, which asks for revokeRole on every database: the admin of this one has it here only.
    if granted := [f"grant {of}" for of in lacking] + [f"inherit {name}" for name in sorted(declared - inherited)]:
        give: _Commands = [
            ("grantPrivilegesToRole", "privileges", _lacking_privileges(want, have)),
            ("grantRolesToRole", "roles", _lacking_roles(command["roles"], present["roles"])),
        ]
        yield Step(Change.ALTER, f"role {role.name}", "; ".join(granted), _told(role.name, give))
    revoked = [f"revoke {of}" for of in extra] + [f"no longer inherit {name}" for name in sorted(inherited - declared)]
    if revoked:
        take: _Commands = [
            ("revokePrivilegesFromRole", "privileges", _lacking_privileges(have, want)),
            ("revokeRolesFromRole", "roles", _lacking_roles(present["roles"], command["roles"])),
        ]
        yield Step(Change.ALTER, f"role {role.name}", "; ".join(revoked), _told(role.name, take), tightens=True)


def user_steps(user: UserDefinition, live: Live, passwords: Mapping[str, str]) -> Iterator[Step]:
    """Whether to create a user, and which roles it gets and loses.

    Args:
        user: As declared.
        live: What there is.
        passwords: Of users that may have to be created, by name.
    """
    roles = [{"role": role, "db": db} for role, db in user.roles]
    there = [name for name in user.names if name in live.users]
    if not there:
        name = next((name for name in user.names if name in passwords), user.names[0])

        async def create(db: DB) -> None:
            password = passwords.get(name)
            if not password:
                raise NotConfigured(f"Set CRM_MONGODB_PASSWORD_{name.upper()} to create the user {name}.")
            await db.command("createUser", name, pwd=password, roles=roles)

        yield Step(Change.ADD, f"user {name}", ", ".join(f"{r}@{d}" for r, d in user.roles), create)
    for name in there:
        yield from _roles_of_user(name, roles, live.users[name]["roles"])
    for name in there[1:]:
        yield Step(Change.FOREIGN, f"user {name}", f"beside {there[0]}; `crm rotate mongodb` ends with one of them")


def _roles_of_user(name: str, roles: list[dict[str, Any]], present: list[dict[str, Any]]) -> Iterator[Step]:
    if lacking := _lacking_roles(roles, present):
        give: _Commands = [("grantRolesToUser", "roles", lacking)]
        why = "; ".join(f"grant {granted}" for granted in sorted(_names(lacking)))
        yield Step(Change.ALTER, f"user {name}", why, _told(name, give))
    if extra := _lacking_roles(present, roles):
        take: _Commands = [("revokeRolesFromUser", "roles", extra)]
        why = "; ".join(f"revoke {revoked}" for revoked in sorted(_names(extra)))
        yield Step(Change.ALTER, f"user {name}", why, _told(name, take), tightens=True)


def _told(name: str, commands: _Commands) -> Callable[[DB], Awaitable[None]]:
    async def tell(db: DB) -> None:
        for command, field, rows in commands:
            if rows:
                await db.command({command: name, field: rows})

    return tell


def _names(roles: list[dict[str, Any]]) -> set[str]:
    return {f"{role['role']}@{role['db']}" for role in roles}


def _privileges(rows: list[dict[str, Any]]) -> dict[str, frozenset[str]]:
    """Actions by resource, as text: two lists in another order, or split over two entries, are the same."""
    out: dict[str, frozenset[str]] = {}
    for row in rows:
        name = _resource(row["resource"])
        out[name] = out.get(name, frozenset()) | frozenset(row["actions"])
    return out


def _resource(resource: dict[str, Any]) -> str:
    name = resource["collection"] or "any collection" if "collection" in resource else canonical(resource)
    return f"{name} of any database" if "db" in resource and resource["db"] == "" else name


def _lacking_privileges(rows: list[dict[str, Any]], among: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The privileges that are not among others."""
    there = _privileges(among)
    left = [(row, frozenset(row["actions"]) - there.get(_resource(row["resource"]), frozenset())) for row in rows]
    return [{"resource": row["resource"], "actions": sorted(actions)} for row, actions in left if actions]


def _lacking_roles(rows: list[dict[str, Any]], among: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The roles that are not among others."""
    there = {(row["role"], row["db"]) for row in among}
    return [{"role": row["role"], "db": row["db"]} for row in rows if (row["role"], row["db"]) not in there]
