"""The only code that issues DDL: plan what differs from the contract, apply it, check that nothing does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bson import MinKey, json_util

from crm.database.contract import CollectionContract, Contract
from crm.database.failures import driver_errors
from crm.database.indexes import Index
from crm.database.roles import RoleDefinition, UserDefinition, role_definitions, user_definitions, widened
from crm.errors import ContractDrift, NotConfigured

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

    DB = AsyncIOMotorDatabase[dict[str, Any]]


class Change(StrEnum):
    """What a step does; its value is the sign that ``crm db plan`` prints."""

    ADD = "+"
    ALTER = "~"
    REMOVE = "-"
    FOREIGN = "?"  # there by someone else's hand; reported, never touched


@dataclass(frozen=True, slots=True)
class Step:
    """One difference between what is declared and what is live.

    Attributes:
        change: Added, altered, removed, or foreign.
        what: The thing by its name, such as ``index orders.one_order_per_source``.
        why: What exactly differs.
        run: Makes it so; None where nothing can or may be done.
    """

    change: Change
    what: str
    why: str = ""
    run: Callable[[DB], Awaitable[None]] | None = None

    def __str__(self) -> str:
        return f"{self.change} {self.what}" + (f": {self.why}" if self.why else "")


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


async def plan(db: DB, contract: Contract, passwords: Mapping[str, str] | None = None) -> list[Step]:
    """The steps from what is live to what is declared; none when they agree.

    Args:
        db: Database on a client outside the Stable API.
        contract: What is declared.
        passwords: Password of each MongoDB user that may have to be created, by user name.
    """
    live = await look(db)
    steps: list[Step] = []
    for collection in contract.collections:
        steps += _collection_steps(collection, live)
        steps += _index_steps(collection.name, contract, live)
    for collection in contract.collections:
        steps += _view_steps(collection, live)
    for role in role_definitions(contract, db.name):
        steps += _role_steps(role, live, db.name)
    for user in user_definitions(db.name):
        steps += _user_steps(user, live, passwords or {})
    steps += _foreign_steps(contract, live, db.name)
    return steps


async def apply(db: DB, steps: list[Step], on_step: Callable[[Step], None] = lambda _: None) -> int:
    """Make it so, step by step in order; a second run finds nothing to do. Returns how many steps were made.

    Raises:
        ContractDrift: A validator would refuse documents that are there; nothing after that step is done.
    """
    done = 0
    for step in steps:
        on_step(step)
        if step.run is not None:
            with driver_errors():
                await step.run(db)
            done += 1
    return done


async def check(db: DB, contract: Contract) -> list[Step]:
    """All drift, foreign things included."""
    return await plan(db, contract)


def _foreign_steps(contract: Contract, live: Live, database: str) -> Iterator[Step]:
    """What somebody else made: it may be meant, but nobody should overlook it."""
    ours = {c.name for c in contract.collections} | {c.view.name for c in contract.collections if c.view}
    for name in sorted(live.collections.keys() - ours):
        if not name.startswith("system."):
            yield Step(Change.FOREIGN, f"{live.collections[name]['type']} {name}", "not declared")
    for name in sorted(live.roles.keys() - {r.name for r in role_definitions(contract, database)}):
        yield Step(Change.FOREIGN, f"role {name}", "not declared")
    for name in sorted(live.users.keys() - {name for u in user_definitions(database) for name in u.names}):
        roles = ", ".join(f"{r['role']}@{r['db']}" for r in live.users[name]["roles"])
        yield Step(Change.FOREIGN, f"user {name}", f"not declared; has {roles or 'no role'}")


def _collection_steps(contract: CollectionContract, live: Live) -> Iterator[Step]:
    name, validator = contract.name, contract.validator()
    options: dict[str, Any] = {"validator": validator, "validationLevel": "strict", "validationAction": "error"}
    present = live.collections.get(name)
    if present is None:

        async def create(db: DB) -> None:
            await db.create_collection(name, **options)

        yield Step(Change.ADD, f"collection {name}", f"{len(contract.rules)} rules and a schema", create)
        return
    now = present.get("options", {})
    differing = [key for key, value in options.items() if not _same(now.get(key, _DEFAULTS.get(key)), value)]
    if differing:

        async def tighten(db: DB) -> None:
            await _refuse_violators(db, name, validator)
            await db.command("collMod", name, **options)

        why = "; ".join(_validator_difference(now, options, key) for key in differing)
        yield Step(Change.ALTER, f"validator of {name}", why, tighten)


#: What listCollections leaves out because it is the server's default.
_DEFAULTS = {"validationLevel": "strict", "validationAction": "error"}


def _validator_difference(now: Mapping[str, Any], options: Mapping[str, Any], key: str) -> str:
    if key != "validator":
        return f"{key} is {now.get(key)!r}, declared {options[key]!r}"
    if not now.get("validator"):
        return "there is none"
    live = {_canonical(clause) for clause in now["validator"].get("$and", [now["validator"]])}
    declared = {_canonical(clause): clause for clause in options["validator"]["$and"]}
    lacking = [_clause_name(clause) for text, clause in declared.items() if text not in live]
    extra = len(live - declared.keys())
    return ", ".join([f"restore {name}" for name in lacking] + ([f"remove {extra} unknown clauses"] if extra else []))


def _clause_name(clause: Mapping[str, Any]) -> str:
    if "$jsonSchema" in clause:
        return "the schema"
    return f'the rule "{clause["$expr"]["$let"]["vars"]["rule"]["$literal"]}"'


async def _refuse_violators(db: DB, name: str, validator: dict[str, Any]) -> None:
    """A document that breaks the new validator could never be changed again, and a restore would drop it."""
    schema, *rules = validator["$and"]
    # One after the other: the server sorts the clauses of a query, and a rule about amounts fails on a text.
    for clauses in filter(None, ([schema], rules)):
        # The range on _id makes it an index scan, which a server with notablescan allows.
        violators = {"_id": {"$gte": MinKey()}, "$nor": [{"$and": clauses}]}
        examples = [d["_id"] async for d in db[name].find(violators, {"_id": 1}).limit(3)]
        if examples:
            count = await db[name].count_documents(violators, limit=10_000)
            shown = ", ".join(str(e) for e in examples)
            many = "10000 or more" if count == 10_000 else str(count)
            raise ContractDrift(
                f"{many} documents of {name} break the declared validator (for example {shown}); mend them, then apply."
            )


def _index_steps(collection: str, contract: Contract, live: Live) -> Iterator[Step]:
    declared = contract.indexes.get(collection)
    present = live.indexes.get(collection, {})
    indexes = {i.name: i for i in declared.index} if declared else {}
    retired = {r.name for r in declared.retired} if declared else set()
    for index in indexes.values():
        what = f"index {collection}.{index.name}"
        if index.name not in present:
            yield Step(Change.ADD, what, _purpose(index), _create_index(collection, index))
        elif difference := _index_difference(index, present[index.name]):
            yield Step(Change.ALTER, what, f"{difference}; retire it and declare the new one under another name")
    for name in present:
        if name in retired:
            yield Step(Change.REMOVE, f"index {collection}.{name}", "retired", _drop_index(collection, name))
        elif name != "_id_" and name not in indexes:
            yield Step(
                Change.FOREIGN, f"index {collection}.{name}", "not declared; list it under [[retired]] to drop it"
            )


def _purpose(index: Index) -> str:
    return index.guards or f"serves {', '.join(index.serves)}"


def _create_index(collection: str, index: Index) -> Callable[[DB], Awaitable[None]]:
    async def create(db: DB) -> None:
        await db[collection].create_index(index.key_pattern(), name=index.name, **index.options())

    return create


def _drop_index(collection: str, name: str) -> Callable[[DB], Awaitable[None]]:
    async def drop(db: DB) -> None:
        await db[collection].drop_index(name)

    return drop


#: What list_indexes says of an index besides its options; whether it is hidden is told apart.
_NO_OPTIONS = frozenset({"v", "ns", "key", "name", "background", "hidden"})


def _index_difference(index: Index, present: Mapping[str, Any]) -> str:
    live = {key: value for key, value in present.items() if key not in _NO_OPTIONS}
    if list(present["key"].items()) != index.key_pattern():
        return f"keys are {dict(present['key'])}, declared {dict(index.key_pattern())}"
    if not _same(live, index.options()):
        return f"options are {live}, declared {index.options()}"
    return "it is hidden" if present.get("hidden") else ""


def _view_steps(contract: CollectionContract, live: Live) -> Iterator[Step]:
    view = contract.view
    if view is None:
        return
    pipeline = view.pipeline()
    present = live.collections.get(view.name)
    if present is None:

        async def create(db: DB) -> None:
            await db.create_collection(view.name, viewOn=contract.name, pipeline=pipeline)

        yield Step(Change.ADD, f"view {view.name}", f"{contract.name} without {', '.join(view.hides)}", create)
    elif present["options"].get("viewOn") != contract.name or not _same(present["options"].get("pipeline"), pipeline):

        async def redefine(db: DB) -> None:
            await db.command("collMod", view.name, viewOn=contract.name, pipeline=pipeline)

        yield Step(Change.ALTER, f"view {view.name}", f"hide {', '.join(view.hides)}", redefine)


def _role_steps(role: RoleDefinition, live: Live, database: str) -> Iterator[Step]:
    command = role.command(database)
    present = live.roles.get(role.name)
    if present is None:

        async def create(db: DB) -> None:
            await db.command("createRole", role.name, **command)

        yield Step(Change.ADD, f"role {role.name}", f"{len(role.privileges)} resources", create)
        return
    differences = widened(_privileges(present["privileges"]), _privileges(command["privileges"]))
    inherited = {f"{r['role']}@{r['db']}" for r in present["roles"]}
    declared = {f"{r['role']}@{r['db']}" for r in command["roles"]}
    differences += [f"no longer inherit {name}" for name in sorted(inherited - declared)]
    differences += [f"inherit {name}" for name in sorted(declared - inherited)]
    if differences:
        # Not updateRole, which asks for revokeRole on every database: the admin of this one has it here only.
        have, want = present["privileges"], command["privileges"]
        commands: list[tuple[str, str, list[dict[str, Any]]]] = [
            ("grantPrivilegesToRole", "privileges", _lacking_privileges(want, have)),
            ("grantRolesToRole", "roles", _lacking_roles(command["roles"], present["roles"])),
            ("revokePrivilegesFromRole", "privileges", _lacking_privileges(have, want)),
            ("revokeRolesFromRole", "roles", _lacking_roles(present["roles"], command["roles"])),
        ]

        async def update(db: DB) -> None:
            for name, field, rows in commands:
                if rows:
                    await db.command({name: role.name, field: rows})

        yield Step(Change.ALTER, f"role {role.name}", "; ".join(differences), update)


def _user_steps(user: UserDefinition, live: Live, passwords: Mapping[str, str]) -> Iterator[Step]:
    roles = [{"role": role, "db": db} for role, db in user.roles]
    present = [name for name in user.names if name in live.users]
    if not present:
        name = next((name for name in user.names if name in passwords), user.names[0])

        async def create(db: DB) -> None:
            password = passwords.get(name)
            if not password:
                raise NotConfigured(f"Set CRM_MONGODB_PASSWORD_{name.upper()} to create the user {name}.")
            await db.command("createUser", name, pwd=password, roles=roles)

        yield Step(Change.ADD, f"user {name}", ", ".join(f"{r}@{d}" for r, d in user.roles), create)
    for name in present:
        yield from _roles_of_user_steps(name, roles, live.users[name]["roles"])
    for name in present[1:]:
        yield Step(Change.FOREIGN, f"user {name}", f"beside {present[0]}; `crm rotate mongodb` ends with one of them")


def _roles_of_user_steps(name: str, roles: list[dict[str, Any]], present: list[dict[str, Any]]) -> Iterator[Step]:
    wanted, live_roles = ({(r["role"], r["db"]) for r in rows} for rows in (roles, present))
    if live_roles != wanted:

        async def update(db: DB) -> None:
            if lacking := _lacking_roles(roles, present):
                await db.command("grantRolesToUser", name, roles=lacking)
            if extra := _lacking_roles(present, roles):
                await db.command("revokeRolesFromUser", name, roles=extra)

        revoked = sorted(f"{r}@{d}" for r, d in live_roles - wanted)
        granted = sorted(f"{r}@{d}" for r, d in wanted - live_roles)
        why = "; ".join([f"revoke {r}" for r in revoked] + [f"grant {r}" for r in granted])
        yield Step(Change.ALTER, f"user {name}", why, update)


def _privileges(rows: list[dict[str, Any]]) -> dict[str, frozenset[str]]:
    """Actions by resource, as text: two lists in another order, or split over two entries, are the same."""
    out: dict[str, frozenset[str]] = {}
    for row in rows:
        name = _resource(row["resource"])
        out[name] = out.get(name, frozenset()) | frozenset(row["actions"])
    return out


def _resource(resource: dict[str, Any]) -> str:
    name = resource["collection"] or "any collection" if "collection" in resource else _canonical(resource)
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


def _same(one: Any, other: Any) -> bool:
    return _canonical(one) == _canonical(other)


def _canonical(value: Any) -> str:
    return json_util.dumps(value, sort_keys=True)
