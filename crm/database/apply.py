"""The only code that issues DDL: plan what differs from the contract, apply it, check that nothing does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from crm import __version__
from crm.database import roles_of_admin
from crm.database.apply_collections import collection_steps, view_steps
from crm.database.apply_indexes import index_steps
from crm.database.apply_rights import role_steps, user_steps
from crm.database.contract import CollectionContract, Contract
from crm.database.driver import name_apart
from crm.database.failures import driver_errors
from crm.database.roles import RoleDefinition, UserDefinition, role_definitions, roles_apart, user_definitions
from crm.database.steps import Change, Live, Step
from crm.errors import CrmError

if TYPE_CHECKING:
    from crm.database.steps import DB


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


async def plan(
    db: DB,
    contract: Contract,
    passwords: Mapping[str, str] | None = None,
    *,
    widen: Collection[str] = (),
    release: str = __version__,
) -> list[Step]:
    """The steps from what is live to what is declared; none that differs when they agree.

    Args:
        db: Database on a client outside the Stable API.
        contract: What is declared.
        passwords: Password of each MongoDB user that may have to be created, by user name.
        widen: Collections that have to take for some time yet what they take now: their validators are widened first.
        release: By which it is decided whether a retired index is kept for longer.
    """
    # What lies beside comes first: our users are given its roles.
    steps = await _steps_apart(db, contract.apart, widen, release) if contract.apart else []
    roles, users = role_definitions(contract, db.name), user_definitions(contract, db.name)
    live = await look(db)
    steps += _data_steps(contract, live, widen, release)
    for collection in contract.collections:
        steps += view_steps(collection, live, widen=collection.name in widen)
    for role in roles:
        steps += role_steps(role, live, db.name)
    steps += await roles_of_admin.steps(db)
    for user in users:
        steps += user_steps(user, live, passwords or {})
    steps += _foreign_steps(contract, live, roles, users)
    return steps


async def _steps_apart(db: DB, contract: Contract, widen: Collection[str], release: str) -> list[Step]:
    """The steps for the database beside ours; it has no users of its own."""
    beside: DB = db.client[name_apart(db.name)]
    roles = roles_apart(contract)
    live = await look(beside)
    steps = _data_steps(contract, live, widen, release)
    for role in roles:
        steps += role_steps(role, live, beside.name)
    steps += _foreign_steps(contract, live, roles, [])
    return [_made_in(beside, step) for step in steps]


def _made_in(beside: DB, step: Step) -> Step:
    run = step.run

    async def make(_db: DB) -> None:
        if run is not None:
            await run(beside)

    return replace(step, what=f"{step.what} of {beside.name}", run=make if run else None)


def _data_steps(contract: Contract, live: Live, widen: Collection[str], release: str) -> list[Step]:
    steps: list[Step] = []
    for collection in contract.collections:
        steps += collection_steps(collection, live, widen=collection.name in widen)
        steps += index_steps(collection.name, contract, live, release)
    return steps


async def apply(db: DB, steps: Sequence[Step], on_step: Callable[[Step], None] = lambda _: None) -> int:
    """Make it so, step by step in order; a second run finds nothing to do. Returns how many steps were made.

    Raises:
        ContractDrift: A validator would refuse documents that are there, or an index may not become unique because of
            them; nothing after that step is done.
    """
    done = 0
    for step in steps:
        on_step(step)
        if step.run is not None:
            with driver_errors():
                await step.run(db)
            done += 1
    return done


async def found(db: DB, contract: CollectionContract) -> list[Step]:
    """Create a collection that has to be there before all else, unless it is; returns the step that was made."""

    async def is_there() -> bool:
        with driver_errors():
            return bool(await db.list_collection_names(filter={"name": contract.name}))

    if await is_there():
        return []
    steps = list(collection_steps(contract, Live({}, {}, {}, {}), widen=False))
    try:
        await apply(db, steps)
    except CrmError:
        if not await is_there():
            raise
        return []  # another run was quicker
    return steps


async def check(db: DB, contract: Contract) -> list[Step]:
    """All drift, foreign things included; not what is meant to wait for a later release."""
    return [step for step in await plan(db, contract) if step.differs]


def _foreign_steps(
    contract: Contract, live: Live, roles: Sequence[RoleDefinition], users: Sequence[UserDefinition]
) -> Iterator[Step]:
    """What somebody else made: it may be meant, but nobody should overlook it."""
    ours = {c.name for c in contract.collections} | {c.view.name for c in contract.collections if c.view}
    for name in sorted(live.collections.keys() - ours):
        if not name.startswith("system."):
            yield Step(Change.FOREIGN, f"{live.collections[name]['type']} {name}", "not declared")
    for name in sorted(live.roles.keys() - {r.name for r in roles}):
        yield Step(Change.FOREIGN, f"role {name}", "not declared")
    for name in sorted(live.users.keys() - {name for user in users for name in user.names}):
        granted = ", ".join(f"{r['role']}@{r['db']}" for r in live.users[name]["roles"])
        yield Step(Change.FOREIGN, f"user {name}", f"not declared; has {granted or 'no role'}")
