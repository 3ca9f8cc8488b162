"""A body as bytes: all of it, unpacked, and never more of it in memory than is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from litestar.types import Receive

from crm.errors import ClientGone, TooLarge, Unavailable, UnsupportedMediaType
from crm.web.ndjson_lines import Gunzip

Headers = Iterable[tuple[bytes, bytes]]
_PLAIN: Final = {b"", b"identity"}
_GZIP: Final = {b"gzip", b"x-gzip"}
#: Bytes: beyond, the connection is closed.
_LET_GO: Final = 16 * 1024 * 1024


class Held:
    """The bodies that a process holds at the same time, so that their memory ends where its owner says.

    Args:
        most: Bytes of all of them, unpacked.
    """

    def __init__(self, most: int) -> None:
        self._left = most

    @contextmanager
    def room(self) -> Iterator[Callable[[int], None]]:
        """Room for one body until the block ends; what it gives is told of each part that has come.

        Raises:
            Unavailable: Within the block: there is no room for it.
        """
        mine = 0

        def take(size: int) -> None:
            nonlocal mine
            if size > self._left:
                raise Unavailable("Too many requests are waiting for the database; try again.", retry_after=1)
            self._left -= size
            mine += size

        try:
            yield take
        finally:
            self._left += mine


def _no_matter(_size: int) -> None:
    """Whoever calls limits how many bodies there are."""


async def receive_whole(
    headers: Headers, receive: Receive, most: int, take: Callable[[int], None] = _no_matter
) -> bytes:
    """Read a body to its end.

    What comes behind the limit is let go, as far as that makes sense: a client that cannot finish sending never reads
    why, and takes it for a broken connection that is worth another try.

    Args:
        headers: Names in lower case.
        receive: Of ASGI.
        most: Bytes of the body, as it is and unpacked.
        take: Told the bytes of each part, unpacked: ``Held.room``.

    Raises:
        TooLarge: There are more.
        Unavailable: There is no room for it.
        UnsupportedMediaType: It is packed in another way than gzip.
        UnreadableRequest: It is no gzip, or one that ends too early.
        ClientGone: It is cut off.
    """
    named = {name: value.strip().lower() for name, value in headers}
    encoding = named.get(b"content-encoding", b"")
    if encoding not in _PLAIN | _GZIP:
        raise UnsupportedMediaType("Send the body as it is, or with Content-Encoding: gzip.")
    length = named.get(b"content-length", b"")
    coming = _Coming(receive)
    try:
        if length.isdigit() and int(length[:20]) > most:
            raise _too_large(most)
        return await _read(coming, Gunzip() if encoding in _GZIP else None, most, take)
    except (TooLarge, Unavailable):
        await coming.let_go()
        raise


class _Coming:
    """The parts of a body.

    Attributes:
        size: Bytes of those that have come.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._more = True
        self.size = 0

    async def part(self) -> bytes | None:
        """The next; None behind the last."""
        if not self._more:
            return None
        event = await self._receive()
        if event["type"] != "http.request":
            self._more = False
            raise ClientGone("The body was cut off.")
        self._more = event.get("more_body", False)
        self.size += len(event["body"])
        return event["body"]

    async def let_go(self) -> None:
        with suppress(ClientGone):
            while self.size < _LET_GO and await self.part() is not None:
                pass


async def _read(coming: _Coming, gunzip: Gunzip | None, most: int, take: Callable[[int], None]) -> bytes:
    parts: list[bytes] = []
    size = 0
    while (chunk := await coming.part()) is not None:
        for part in (chunk,) if gunzip is None else gunzip.feed(chunk):
            size += len(part)
            if size > most:
                raise _too_large(most)
            take(len(part))
            parts.append(part)
        if coming.size > most:  # gzip that unpacks to nothing could go on for ever
            raise _too_large(most)
    if gunzip is not None:
        gunzip.finish()
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"The body has more than {most:,} bytes, or would have, unpacked.")
