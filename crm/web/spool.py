"""Bytes that wait for a reader who may come late: in memory while they are few, else in a file without a name."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Final

#: What stays in memory, in bytes.
IN_MEMORY: Final = 256 * 1024
#: What is read at a time, in bytes.
_PIECE: Final = 64 * 1024


class Spool:
    """First in, first out, for one writer and one reader on the same loop.

    Neither waits for the other: a client that sends everything before it reads anything gets all of it, and the
    process grows no further. The file lies in the temporary folder, has no name there and is gone when it is closed,
    however the process ends. Once the reader has caught up, it is empty again.

    Args:
        in_memory: Bytes that are kept without a file.
    """

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._most = in_memory
        self._memory = bytearray()  # older than all that is in the file
        self._file: int | None = None
        self._read_at = 0
        self._written_to = 0
        self._ended = False
        self._news = asyncio.Event()

    @property
    def on_disk(self) -> int:
        """Bytes that wait in the file."""
        return self._written_to - self._read_at

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            OSError: The disk is full.
        """
        if self.on_disk == 0 and len(self._memory) + len(data) <= self._most:
            self._memory += data
        else:
            # To the page cache: a few microseconds, which is less than handing it to a thread.
            if self._file is None:
                self._file, name = tempfile.mkstemp(prefix="crm-spool-")
                Path(name).unlink()
            view = memoryview(data)
            while view:
                written = os.pwrite(self._file, view, self._written_to)
                self._written_to += written
                view = view[written:]
        self._news.set()

    def end(self) -> None:
        """Nothing will be written any more."""
        self._ended = True
        self._news.set()

    async def read(self) -> bytes:
        """What came first of that which waits; ``b""`` at the end."""
        while not self._memory and self.on_disk == 0:
            if self._ended:
                return b""
            self._news.clear()
            await self._news.wait()
        if self._memory:
            data = bytes(self._memory)
            self._memory.clear()
            return data
        return self._from_file()

    def close(self) -> None:
        """Give up what waits."""
        self._memory.clear()
        self._read_at = self._written_to = 0
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _from_file(self) -> bytes:
        if self._file is None:
            return b""
        data = os.pread(self._file, min(_PIECE, self.on_disk), self._read_at)
        self._read_at += len(data)
        if self.on_disk == 0:
            os.ftruncate(self._file, 0)
            self._read_at = self._written_to = 0
        return data
