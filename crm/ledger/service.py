"""What can be asked of the ledger, and added to it.

Every process holds the hashes in memory, some 200 bytes for each name, so that asking costs a push nothing while nobody
was erased, one comparison of dates when it is newer than all erasures, and a few microseconds otherwise. What another
process added is known within a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from crm import removing
from crm.config import Settings
from crm.database import driver
from crm.database.driver import Database
from crm.database.ids import derived_id
from crm.errors import InvalidInput, Unavailable
from crm.identity import Role
from crm.ledger import file, names, queries
from crm.ledger.documents import MOST_NAMES, Entry, Forgotten
from crm.person import Person

log = structlog.get_logger("crm.ledger")

Shape = TypeVar("Shape", bound=BaseModel)

_KEPT: Final = "ledger"
_EVERY: Final = 1.0
#: The number of entries tells what is new at no cost; now and then all is read, whatever that number says.
_ALL_EVERY: Final = 600.0
_TOGETHER: Final = 1_000


@asynccontextmanager
async def watching(database: Database, settings: Settings) -> AsyncIterator[None]:
    """Know within the block who was erased; the ledger is complete when it begins, if the database is there."""
    if _KEPT in database.kept:
        yield  # another application on the same connection does it
        return
    known = Known(database, settings.secret_for_erasures(), settings.erasure_file)
    await known.try_refresh()
    database.kept[_KEPT] = known
    task = asyncio.create_task(known.keep_up(), context=Context())
    try:
        yield
    finally:
        del database.kept[_KEPT]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def known() -> Known | None:
    """Who was erased; None where nobody was, or where no part of the service runs (the command line).

    Raises:
        Unavailable: It has not been read yet: nobody may come back because of that.
    """
    found: Known | None = driver.present().database.kept.get(_KEPT)
    if found is None:
        return None
    if not found.complete:
        await found.refresh()
    return found if found.latest is not None or found.foreign else None


async def add(erasure_id: str, person: Person, erased_at: datetime) -> None:
    """Write down that somebody was erased, in the database and the file; again changes nothing.

    Raises:
        Unavailable: It could not be written down; then nothing may be erased either, or a restore brings it back.
    """
    found: Known | None = driver.present().database.kept.get(_KEPT)
    if found is None:
        raise Unavailable("The erasure ledger is not open.")
    rows = found.entries(erasure_id, person, erased_at)
    await Forgotten.stored().insert_new([Forgotten.from_row(row).as_stored() for row in rows])
    if found.file is not None:
        try:
            await asyncio.to_thread(file.append, found.file, (_line(row) for row in rows))
        except OSError as exc:
            log.error("the ledger's file cannot be written", error=exc.strerror)
            raise Unavailable("The file of the erasure ledger cannot be written.", retry_after=60) from exc
    found.take(rows)


async def export(path: Path) -> int:
    """Write the whole ledger to a new file; returns how many entries there are.

    Raises:
        OSError: The file is there already, or cannot be written.
    """
    await asyncio.to_thread(path.touch, 0o600, False)
    count, after = 0, ""
    while rows := await Forgotten.stored().find(queries.behind(after, _TOGETHER)):
        await asyncio.to_thread(file.append, path, [_line(row) for row in rows])
        count, after = count + len(rows), rows[-1]["_id"]
    return count


async def take_in(path: Path) -> tuple[int, int]:
    """Add the entries of a file that are not there yet; returns how many there were, and how many are new.

    Raises:
        InvalidInput: A line is no entry; those before it are in.
    """
    count = new = 0
    for entry in _entries(path, Forgotten):
        count += 1
        new += not await Forgotten.stored().insert_new([entry.as_stored()])
    return count, new


def look_through(path: Path) -> int:
    """Read a file to its end; returns how many entries there are. Needs no database.

    Raises:
        InvalidInput: A line is no entry.
    """
    return sum(1 for _ in _entries(path, Entry))


def _entries(path: Path, shape: type[Shape]) -> Iterator[Shape]:
    for number, line in enumerate(file.read(path), 1):
        try:
            yield shape.model_validate(line)
        except ValidationError:
            raise InvalidInput(f"Entry {number} of {path.name} is no entry of a ledger.") from None


class Known:
    """The ledger as far as this process has read it.

    Attributes:
        complete: Whether it was ever read to its end.
        latest: The last erasure; None where there was none.
        erasures: Their ids.
        foreign: Entries that were made with another key: whom they mean cannot be told.
        file: Where entries are added to as well.
    """

    def __init__(self, database: Database, secret: bytes, path: Path | None) -> None:
        self.complete = False
        self.latest: datetime | None = None
        self.erasures: set[str] = set()
        self.foreign = 0
        self.file = path
        self._database = database
        self._secret = secret
        self._key_id = names.key_id(secret)
        self._at: dict[bytes, datetime] = {}
        self._count = -1
        self._all_read = 0.0

    def when(self, *asked: str) -> datetime | None:
        """When somebody with one of these names (``ledger.names``) was erased last; None where nobody was."""
        if self.latest is None:
            return None
        found = (self._at.get(names.digest(self._secret, name)) for name in asked)
        return max((at for at in found if at is not None), default=None)

    def covers(self, person: Person, at: datetime | None) -> datetime | None:
        """When somebody who goes by these names was erased, where that was no earlier than ``at``; None where not.

        A telephone counts where nothing else says who it is: families share one, and only one of them may be erased.

        Args:
            person: By names that somebody sent, or that are stored.
            at: How old what they were sent with is; None where nothing says so, which is older than anything.
        """
        if self.latest is None or (at is not None and at > self.latest):
            return None
        if person.customers or person.emails or person.users or person.identities or person.pushed:
            person = replace(person, phones=frozenset())
        found = self.when(*names.all_of(person))
        return found if found is not None and (at is None or at <= found) else None

    def among(self, text: str) -> Person:
        """Who of those who were erased is named in a text, by address or telephone."""
        emails, phones = removing.contacts_in(text)
        return Person(
            emails=frozenset(key for key in emails if self.when(names.of_email(key))),
            phones=frozenset(name for name in phones if self.when(names.of_phone(name))),
        )

    def entries(self, erasure_id: str, person: Person, erased_at: datetime) -> list[dict[str, Any]]:
        """An erasure as entries of the ledger."""
        hashes = sorted(names.digest(self._secret, name).hex() for name in names.all_kept_of(person))
        parts = [hashes[place : place + MOST_NAMES] for place in range(0, len(hashes), MOST_NAMES)]
        return [
            {
                # Names that become known while it is carried out are another entry.
                "_id": derived_id("fgt", erasure_id, "".join(part)),
                "erasure_id": erasure_id,
                "erased_at": erased_at,
                "key_id": self._key_id,
                "names": part,
            }
            for part in parts
        ]

    def take(self, rows: Iterable[dict[str, Any]]) -> None:
        """Know these entries from now on."""
        for row in rows:
            if row["key_id"] != self._key_id:
                self.foreign += 1
                continue
            at = row["erased_at"]
            self.latest = max(self.latest or at, at)
            self.erasures.add(row["erasure_id"])
            for text in row["names"]:
                hashed = bytes.fromhex(text)
                self._at[hashed] = max(self._at.get(hashed, at), at)

    def forget(self) -> None:
        """Know nobody any more: for tests, which empty the ledger."""
        self._at.clear()
        self.erasures.clear()
        self.latest, self._count = None, -1

    async def keep_up(self) -> None:
        """Read what is new, for ever."""
        while True:
            await asyncio.sleep(_EVERY)
            await self.try_refresh()

    async def try_refresh(self) -> None:
        """Read what is new, if the database is there."""
        try:
            await self.refresh()
        except Exception as exc:  # noqa: BLE001  a task that ends would let erased people come back, unseen
            log.warning("erasures are known late", error=type(exc).__name__)

    async def refresh(self) -> None:
        """Read what is new.

        Raises:
            CrmError: The database is away, or does not let this role read it.
        """
        with driver.acting_as(self._database, Role.INGEST):
            count = await Forgotten.stored().estimated_count()
            if count == self._count and time.monotonic() - self._all_read < _ALL_EVERY:
                return
            self.foreign, after = 0, ""
            while rows := await Forgotten.stored().find(queries.behind(after, _TOGETHER)):
                self.take(rows)
                after = rows[-1]["_id"]
        if self.foreign:
            log.error("entries of the ledger were made with another CRM_ERASURE_KEY", entries=self.foreign)
        self._count, self._all_read, self.complete = count, time.monotonic(), True


def _line(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "erased_at": row["erased_at"].isoformat()}
