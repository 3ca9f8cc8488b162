"""Which fields are defined: each process holds them in memory, so that checking a customer costs no read.

They are read once before the first request and then every second: for about a second another process may go by the
fields of before. What it lets through MongoDB refuses all the same, once the field is active.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Final

import structlog

from crm.custom_fields import queries
from crm.custom_fields.documents import CustomField
from crm.custom_fields.values import Definition, Fields
from crm.database import driver
from crm.database.collection import Row
from crm.database.driver import Database
from crm.identity import Role

log = structlog.get_logger("crm.custom_fields")

_KEPT: Final = "custom_fields.known"
_EVERY: Final = 1.0


@asynccontextmanager
async def watching(database: Database) -> AsyncIterator[None]:
    """Know the fields within the block."""
    if _KEPT in database.kept:
        yield  # another application on the same connection does it
        return
    known = database.kept[_KEPT] = _Known()
    await known.try_refresh(database)
    task = asyncio.create_task(known.keep_up(database), context=Context())
    try:
        yield
    finally:
        del database.kept[_KEPT]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def present() -> Fields:
    """The fields as this process knows them; read now where nobody is ``watching``."""
    known: _Known | None = driver.present().database.kept.get(_KEPT)
    if known is not None and known.fields is not None:
        return known.fields
    return Fields(await read())


async def read() -> list[Definition]:
    """The fields as they are defined now, by name, read as who acts; this process knows them from then on."""
    rows = await CustomField.stored().find(queries.all_by_name())
    found = [_definition(row) for row in rows]
    known: _Known | None = driver.present().database.kept.get(_KEPT)
    if known is not None:
        known.fields = Fields(found)
    return found


def _definition(row: Row) -> Definition:
    # Read without the ODM, which is not there yet while the contract is applied.
    return Definition(
        name=row["_id"],
        type=row["type"],
        choices=tuple(row.get("choices") or ()),
        required=row["required"],
        indexed=row["indexed"],
        state=row["state"],
        version=row["version"],
    )


class _Known:
    """The fields, as far as this process has read; None before it could."""

    def __init__(self) -> None:
        self.fields: Fields | None = None

    async def keep_up(self, database: Database) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await self.try_refresh(database)

    async def try_refresh(self, database: Database) -> None:
        try:
            with driver.acting_as(database, Role.INGEST):
                await read()
        except Exception as exc:  # noqa: BLE001  a task that ends would go by the fields of before for ever
            log.warning("custom fields are known late", error=type(exc).__name__)
