"""Bytes into lines, whatever the chunks that they come in. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from crm.errors import UnreadableRequest

#: Bytes of one line, without its end; an order with a thousand items has about 150,000.
LONGEST_LINE: Final = 1_000_000
#: Bytes that decompression gives at a time: a few kilobytes of gzip can stand for gigabytes.
PIECE: Final = 256 * 1024
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_GZIP: Final = 16 + zlib.MAX_WBITS


class Line(NamedTuple):
    """A line that is not blank.

    Attributes:
        number: From 1; blank lines count.
        data: Its bytes without the end of line; None where it was longer than ``LONGEST_LINE`` and was let go.
    """

    number: int
    data: bytes | None


class LineSplitter:
    """Splits at LF or CRLF and holds no more than one line that has not ended.

    Blank lines are left out, a byte order mark at the very beginning goes, and the last line needs no end.
    """

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._held = bytearray()
        self._letting_go = False
        self._number = 0

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that end in this chunk."""
        *ended, rest = chunk.split(b"\n")
        lines = [line for piece in ended if (line := self._end(piece)) is not None]
        self._hold(rest)
        return lines

    def finish(self) -> list[Line]:
        """The line that the stream ended in, if it did."""
        line = self._end(b"") if self._held or self._letting_go else None
        return [] if line is None else [line]

    def _hold(self, piece: bytes) -> None:
        # A carriage return and a byte order mark may still go; with them and more, it is too long for certain.
        if self._letting_go or len(self._held) + len(piece) > self._longest + 1 + len(BYTE_ORDER_MARK):
            self._letting_go = True
            self._held.clear()
        else:
            self._held += piece

    def _end(self, piece: bytes) -> Line | None:
        self._number += 1
        if self._held or self._letting_go:
            self._hold(piece)
            piece = bytes(self._held)
            self._held.clear()
        if self._letting_go:
            self._letting_go = False
            return Line(self._number, None)
        if self._number == 1:
            piece = piece.removeprefix(BYTE_ORDER_MARK)
        piece = piece.removesuffix(b"\r")
        if len(piece) > self._longest:
            return Line(self._number, None)
        return Line(self._number, piece) if piece and not piece.isspace() else None


class Gunzip:
    """Decompresses a gzip stream as it comes; several members one after the other are one stream, as for ``gunzip``."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What this chunk decompresses to, in pieces of at most ``PIECE`` bytes.

        Raises:
            UnreadableRequest: It is not gzip, or broken.
        """
        while chunk:
            if self._member.eof:
                chunk = chunk.lstrip(b"\0")  # padding between and behind members, as gunzip takes it
                if not chunk:
                    return
                self._member = zlib.decompressobj(_GZIP)
            self._begun = True
            try:
                piece = self._member.decompress(chunk, PIECE)
            except zlib.error:
                raise UnreadableRequest("The gzip stream is broken.") from None
            chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if piece:
                yield piece

    def finish(self) -> None:
        """The stream ends here.

        Raises:
            UnreadableRequest: It is cut off.
        """
        if self._begun and not self._member.eof:
            raise UnreadableRequest("The gzip stream is cut off.")
