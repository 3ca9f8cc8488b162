"""Bringing a database to the contract, with the credentials of a URI."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from crm.changes import lock
from crm.changes import service as changes
from crm.changes.contract import LOCKS
from crm.changes.declared import DataChange
from crm.changes.numbered import CHANGES
from crm.config import Settings
from crm.contracts import contract, documents
from crm.custom_fields import service as custom_fields
from crm.database import apply
from crm.database.contract import Contract
from crm.database.driver import Database, acting_as
from crm.database.steps import Change as StepKind
from crm.database.steps import Step
from crm.identity import Role


@dataclass(frozen=True, slots=True)
class Given:
    """How an apply is done.

    Attributes:
        who: Acts, for others who have to wait; else the name of this host.
        wait: For how many seconds to wait for others.
        side_by_side: The version before goes on running: nothing is taken away that it needs.
        share: Part of the time that changes of the data work.
        progress: Called with (change of the data, done, of about how many).
        on_step: Called before each step.
    """

    who: str | None = None
    wait: float = 60
    side_by_side: bool = False
    share: float = changes.SHARE
    progress: Callable[[str, int, int], None] = lambda *_: None
    on_step: Callable[[Step], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Declared:
    """What a version declares.

    Attributes:
        contract: Collections and indexes.
        changes: Numbered changes of the data.
    """

    contract: Contract
    changes: Sequence[DataChange]


async def plan(uri: str, settings: Settings, declared: Declared | None = None) -> list[Step]:
    """What differs from the contract, and which changes of the data are open, in the order of an apply."""
    async with _connected(uri, settings) as database:
        return await _todo(database, settings, declared or ours(), await custom_fields.definitions(), None)


async def data_changes(uri: str, settings: Settings) -> list[changes.Status]:
    """How far each numbered change of the data has come."""
    async with _connected(uri, settings):
        return await changes.status(CHANGES)


async def provision(
    uri: str, settings: Settings, declared: Declared | None = None, given: Given = Given()
) -> list[Step]:
    """Make the database as the contract declares; returns the steps, made ones and those left to the operator.

    First comes all that only adds, so that both forms of a document are taken; then the changes of the data; then all
    that takes away.

    Args:
        uri: With the credentials of a user that may do all this.
        settings: Name of the database, passwords of the MongoDB users to create.
        declared: By this version, unless it is said otherwise.
        given: How to do it.

    Raises:
        ApplyInProgress: Another run is at it.
        ContractDrift: Documents are there that the contract refuses, or that a change of the data cannot change.
    """
    async with _connected(uri, settings) as database:
        db = database.raw(Role.ADMIN)
        founded = await apply.found(db, LOCKS)
        async with lock.only_one(given.who or f"a service on {socket.gethostname()}", wait=given.wait) as held:

            def before(step: Step) -> None:
                held.check()
                given.on_step(step)

            defined = await custom_fields.definitions()
            run = changes.Run(held, given.side_by_side, given.progress, given.share)
            steps = await _todo(database, settings, declared or ours(), defined, run)
            if given.side_by_side:
                await changes.note_versions_beside(held, both=True)
            await apply.apply(db, steps, before)
            await custom_fields.settle(defined)
            if not given.side_by_side:
                await changes.note_versions_beside(held, both=False)
        return [*founded, *steps]


def ours() -> Declared:
    """What this version declares."""
    return Declared(contract(), CHANGES)


@asynccontextmanager
async def administration(
    uri: str, settings: Settings, roles: tuple[Role, ...] = (Role.ADMIN,)
) -> AsyncIterator[Database]:
    """The services, acting with the credentials of a URI.

    Args:
        uri: Where MongoDB is.
        settings: Name of the database, passwords.
        roles: Where it has no credentials, the first of these MongoDB users whose password is set.
    """
    for role in roles:
        uri = settings.signed(uri, role)
    database = Database.administrative(uri, settings.mongodb_database)
    try:
        await database.initialise(documents())
        with acting_as(database, Role.ADMIN):
            yield database
    finally:
        await database.close()


@asynccontextmanager
async def _connected(uri: str, settings: Settings) -> AsyncIterator[Database]:
    """With the credentials of the URI only: of an empty server there is no other user."""
    database = Database.administrative(uri, settings.mongodb_database)
    try:
        with acting_as(database, Role.ADMIN):
            yield database
    finally:
        await database.close()


async def _todo(
    database: Database,
    settings: Settings,
    declared: Declared,
    defined: list[custom_fields.Definition],
    run: changes.Run | None,
) -> list[Step]:
    both = run is not None and run.both
    wanted = custom_fields.extended(declared.contract, defined)
    found = await changes.status(declared.changes)
    apart = wanted.apart.collections if wanted.apart else ()
    everything = {c.name for c in (*wanted.collections, *apart)}
    names = everything if both else {one.change.collection for one in found if one.open}
    passwords = dict(filter(None, map(settings.credentials, Role)))
    steps = await apply.plan(database.raw(Role.ADMIN), wanted, passwords, widen=names)
    adding = [step for step in steps if not step.tightens]
    tightening = [_later(step) if both else step for step in steps if step.tightens]
    return [*adding, *(_step(one, run) for one in found if one.open or one.altered), *tightening]


def _step(status: changes.Status, run: changes.Run | None) -> Step:
    what = f"change {status.change.id}"
    if not status.open:
        return Step(StepKind.WAIT, what, f"ran in another form than this version has, and will not again: {status}")

    async def carry_out(_: Any) -> None:
        if run is not None:
            await changes.carry_out(status.change, run)

    return Step(StepKind.ALTER, what, str(status), carry_out)


def _later(step: Step) -> Step:
    why = f"when the version before is gone, by an apply without --side-by-side: {step.why}"
    return replace(step, change=StepKind.WAIT, why=why, run=None)
