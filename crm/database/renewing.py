"""Takes up secrets whose files change while the service runs: no restart, and no request fails.

Keys of tokens are taken up at once. For a role with another MongoDB user or password there are new clients, which have
signed in before anything uses them; an operation that is under way ends on the client it has. Secrets that cannot be
used change nothing: the log says why, and they are looked at again until they can.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from pathlib import Path
from typing import Final

import structlog

from crm.config import RENEWABLE, Settings, secrets_folder
from crm.database.driver import Database
from crm.errors import CrmError
from crm.identity import API_ROLES

log = structlog.get_logger("crm.secrets")

#: Seconds between two looks at the files: ten calls of the operating system, 0.1 ms.
LOOKED_AT_EVERY: Final = 1.0
#: Seconds until a key of tokens that has been written is known to every process, busy ones included.
KNOWN_WITHIN: Final = 10.0
_Marks = tuple[tuple[int, int, int] | None, ...]


class Renewing:
    """Compares the files with what is in use.

    Args:
        database: Whose clients are replaced.
        settings: In use; secrets are changed in place.
        folder: Where the files are.
    """

    def __init__(self, database: Database, settings: Settings, folder: Path) -> None:
        self._database = database
        self._settings = settings
        self._files = [folder / f"crm_{name}" for name in RENEWABLE]
        self._seen: _Marks = ()
        self._said = ""
        # Three times as long as one operation may take: a transaction is several.
        self._grace = 3 * settings.mongodb_timeout_ms / 1000
        self._close_at: float | None = None

    async def look(self) -> None:
        """Take up what has changed since the last look."""
        if self._close_at is not None and time.monotonic() >= self._close_at:
            self._close_at = None
            await self._database.close_replaced()
        marks = tuple(map(_mark, self._files))
        if marks == self._seen:
            return
        try:
            changed = await self._take_up()
        except CrmError as exc:
            if exc.detail != self._said:
                self._said = exc.detail
                log.warning("new secrets cannot be used", why=exc.detail)
            return
        self._seen, self._said = marks, ""
        if changed:
            log.info("new secrets are in use", secrets=changed)

    async def _take_up(self) -> list[str]:
        fresh = Settings.from_environment()
        fresh.require_for_serving()
        roles = [role for role in API_ROLES if fresh.credentials(role) != self._settings.credentials(role)]
        if roles:
            await self._database.renew(fresh, roles)
            self._close_at = time.monotonic() + self._grace
        return self._settings.take_over(fresh)


def _mark(path: Path) -> tuple[int, int, int] | None:
    """What differs once a file has been written or replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


@asynccontextmanager
async def renewing(database: Database, settings: Settings, *, wanted: bool) -> AsyncIterator[None]:
    """Look at the files of ``CRM_SECRETS_DIR`` within the block, if there are any."""
    folder = secrets_folder() if wanted else None
    if folder is None:
        yield
        return
    task = asyncio.create_task(_endless(Renewing(database, settings, folder)), context=Context())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _endless(files: Renewing) -> None:
    while True:
        try:
            await files.look()
        except Exception as exc:  # noqa: BLE001  a task that ends would never take anything up, unseen
            log.warning("the secrets could not be looked at", error=type(exc).__name__)
        await asyncio.sleep(LOOKED_AT_EVERY)
