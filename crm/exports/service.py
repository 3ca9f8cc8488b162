"""A whole list, page by page: never more than one page is in memory, and each starts behind the one before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

import structlog
from pydantic import BaseModel

from crm.audit import service as audit
from crm.audit.service import Action
from crm.database.paging import Page, PageRequest
from crm.errors import CrmError, Unavailable
from crm.exports.formats import Writer
from crm.identity import Principal

log = structlog.get_logger("crm.exports")

Read = Callable[[PageRequest], Awaitable[Page[BaseModel]]]
#: Items of a page. They are shaped in one go, so a page is as long as other requests may have to wait: some 30 ms.
PAGE: Final = 100
#: Seconds before each further try when the database is away; with the driver's own it is about half a minute.
_WAITS: Final = (0.5, 1.0, 2.0)


class Export:
    """A list on its way out.

    Each page is recorded in the audit log as the list itself records it, so the log says whose data went out; an entry
    before the first and one behind the last say what it was for.

    Args:
        principal: Who asks.
        name: What the list is called.
        read: Reads a page of it, as the principal may see it.
        writer: Makes bytes of it.
        sort: Its order; None is the list's own.
        cursor: Where to begin; None is at the beginning.

    Attributes:
        writer: As given.
        items: How many have gone out.
        cursor: Behind what has gone out; None where nothing has or all has.
    """

    def __init__(
        self,
        principal: Principal,
        name: str,
        read: Read,
        writer: Writer,
        *,
        sort: str | None = None,
        cursor: str | None = None,
    ) -> None:
        self._principal = principal
        self._name = name
        self._read = read
        self.writer = writer
        self._sort = sort
        self._first: Page[BaseModel] | None = None
        self.items = 0
        self.cursor = cursor

    async def begin(self) -> None:
        """Read the first page: what cannot be exported is refused before anything goes out.

        Raises:
            CrmError: What the list says.
            Unavailable: It cannot be recorded, or the database is away: whoever asks can try again.
        """
        self._first = await self._read(self._request())
        details = {"list": self._name, "format": self.writer.format}
        await audit.record(self._principal, Action.EXPORT_BEGIN, details=details)

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The bytes, a page at a time; close it where not all of it is taken.

        Raises:
            Unavailable: The database stays away.
            CrmError: What the list says.
        """
        complete = False
        try:
            if self.cursor is None:
                yield self.writer.head()
            page = self._first or await self._page()
            self._first = None
            while True:
                if page.items:
                    yield self.writer.rows(page.items)
                self.items += len(page.items)
                self.cursor = page.next_cursor
                if self.cursor is None:
                    break
                page = await self._page()
            complete = True
        finally:
            await self._ended(complete)

    async def _page(self) -> Page[BaseModel]:
        for wait in _WAITS:
            try:
                return await self._read(self._request())
            except Unavailable:
                await asyncio.sleep(wait)
        return await self._read(self._request())

    def _request(self) -> PageRequest:
        return PageRequest(limit=PAGE, cursor=self.cursor, sort=self._sort)

    async def _ended(self, complete: bool) -> None:
        details: dict[str, str | bool | int] = {"list": self._name, "items": self.items, "complete": complete}
        try:
            await audit.record(self._principal, Action.EXPORT_END, details=details)
        except CrmError:  # what went out stands there page by page
            log.warning("the end of an export is not in the audit log", **details)
