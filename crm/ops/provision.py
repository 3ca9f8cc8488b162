"""Bringing a database to the contract, with the credentials of a URI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from crm.config import Settings
from crm.contracts import contract, documents
from crm.custom_fields import service as custom_fields
from crm.database import apply
from crm.database.apply import Step
from crm.database.driver import Database, acting_as
from crm.identity import Role


async def plan(uri: str, settings: Settings) -> list[Step]:
    """What differs from the contract."""
    return await _differences(uri, settings, lambda _: None, do=False)


async def provision(uri: str, settings: Settings, on_step: Callable[[Step], None] = lambda _: None) -> list[Step]:
    """Make the database as the contract declares; returns the steps, made ones and those left to the operator.

    Args:
        uri: With the credentials of a user that may do all this.
        settings: Name of the database, passwords of the MongoDB users to create.
        on_step: Called before each step.
    """
    return await _differences(uri, settings, on_step, do=True)


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


async def _differences(uri: str, settings: Settings, on_step: Callable[[Step], None], *, do: bool) -> list[Step]:
    database = Database.administrative(uri, settings.mongodb_database)
    try:
        db = database.raw(Role.ADMIN)
        passwords = dict(filter(None, map(settings.credentials, Role)))
        with acting_as(database, Role.ADMIN):
            defined = await custom_fields.definitions()
            steps = await apply.plan(db, custom_fields.extended(contract(), defined), passwords)
            if do:
                await apply.apply(db, steps, on_step)
                await custom_fields.settle(defined)
        return steps
    finally:
        database.close()
