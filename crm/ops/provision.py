"""Bringing a database to the contract, with the credentials of a URI."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from crm.changes import lock
from crm.changes.contract import LOCKS
from crm.config import Settings
from crm.contracts import contract, documents
from crm.custom_fields import service as custom_fields
from crm.database import apply
from crm.database.driver import Database, acting_as
from crm.database.steps import Step
from crm.identity import Role


async def plan(uri: str, settings: Settings) -> list[Step]:
    """What differs from the contract."""
    async with _connected(uri, settings) as database:
        return await _differences(database, settings, await custom_fields.definitions())


async def provision(
    uri: str,
    settings: Settings,
    on_step: Callable[[Step], None] = lambda _: None,
    *,
    who: str | None = None,
    wait: float = 60,
) -> list[Step]:
    """Make the database as the contract declares; returns the steps, made ones and those left to the operator.

    Args:
        uri: With the credentials of a user that may do all this.
        settings: Name of the database, passwords of the MongoDB users to create.
        on_step: Called before each step.
        who: Acts, for others who have to wait; else the name of this host.
        wait: For how many seconds to wait for others.

    Raises:
        ApplyInProgress: Another run is at it.
        ContractDrift: Documents are there that the contract refuses.
    """
    async with _connected(uri, settings) as database:
        db = database.raw(Role.ADMIN)
        founded = await apply.found(db, LOCKS)
        async with lock.only_one(who or f"a service on {socket.gethostname()}", wait=wait) as held:

            def before(step: Step) -> None:
                held.check()
                on_step(step)

            defined = await custom_fields.definitions()
            steps = await _differences(database, settings, defined)
            await apply.apply(db, steps, before)
            await custom_fields.settle(defined)
        return [*founded, *steps]


@asynccontextmanager
async def administration(uri: str, settings: Settings) -> AsyncIterator[Database]:
    """The services, acting with the credentials of a URI, or as the MongoDB user ``admin`` where it has none."""
    database = Database.administrative(settings.signed(uri, Role.ADMIN), settings.mongodb_database)
    try:
        await database.initialise(documents())
        with acting_as(database, Role.ADMIN):
            yield database
    finally:
        database.close()


@asynccontextmanager
async def _connected(uri: str, settings: Settings) -> AsyncIterator[Database]:
    """With the credentials of the URI only: of an empty server there is no other user."""
    database = Database.administrative(uri, settings.mongodb_database)
    try:
        with acting_as(database, Role.ADMIN):
            yield database
    finally:
        database.close()


async def _differences(database: Database, settings: Settings, defined: list[custom_fields.Definition]) -> list[Step]:
    passwords = dict(filter(None, map(settings.credentials, Role)))
    return await apply.plan(database.raw(Role.ADMIN), custom_fields.extended(contract(), defined), passwords)
