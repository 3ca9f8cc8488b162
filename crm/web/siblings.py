"""The workers of one server tell each other what they have counted: each has a socket in a folder that they share.

Whichever worker Prometheus reaches asks the others. Nothing is shared while requests are served: a counter is a number
of its own process.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger("crm.web")

_LONGEST_ANSWER: Final = 2.0
_SUFFIX: Final = ".sock"


class Siblings:
    """The other workers.

    Args:
        folder: Where their sockets are, and nobody else's; None where there are no other workers.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._own = None if folder is None else folder / f"{os.getpid()}{_SUFFIX}"

    @asynccontextmanager
    async def listening(self, tell: Callable[[], bytes]) -> AsyncIterator[None]:
        """Tell the others within the block, whenever they ask."""

        async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                writer.write(tell())
                await writer.drain()
            writer.close()

        if self._own is None:
            yield
            return
        try:
            server = await asyncio.start_unix_server(answer, self._own)
        except OSError as exc:
            # Such as a folder for temporary files whose name is too long for a socket. Not worth not to serve.
            log.warning("the other workers cannot ask for metrics", error=type(exc).__name__)
            yield
            return
        try:
            yield
        finally:
            server.close()
            self._own.unlink(missing_ok=True)

    async def ask(self) -> list[bytes | None]:
        """What each of the others says; None for one that lives and does not answer in time."""
        if self._folder is None:
            return []
        others = [path for path in sorted(self._folder.glob(f"*{_SUFFIX}")) if path != self._own and _lives(path)]
        return list(await asyncio.gather(*(_ask(path) for path in others)))


async def _ask(path: Path) -> bytes | None:
    try:
        async with asyncio.timeout(_LONGEST_ANSWER):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return await reader.read() or None
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None


def _lives(path: Path) -> bool:
    """Whether the process is there whose socket this is; what kill -9 left is removed."""
    try:
        os.kill(int(path.stem), 0)
    except ProcessLookupError:
        path.unlink(missing_ok=True)
        return False
    return True
