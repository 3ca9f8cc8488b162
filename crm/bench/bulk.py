"""Order lines over one connection to the bulk route: rate, and what the server's memory does meanwhile.

A raw socket that reads while it sends: client libraries only read afterwards.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from crm.processes import resident_bytes

_PIECE: Final = 64 * 1024
Body = Callable[[int], dict[str, Any]]


@dataclass(slots=True)
class BulkMeasured:
    """What a run gave.

    Attributes:
        lines: How many were sent.
        seconds: From the first byte to the last result.
        first_result_seconds: Until the first result.
        rss_before: Resident bytes of the server's processes before; 0 where the system does not tell.
        rss_after: The same afterwards.
        rss_peak: The highest seen, about ten times a second.
        sums: The last line: ``created`` and so on.
    """

    lines: int
    seconds: float = 0.0
    first_result_seconds: float = 0.0
    rss_before: int = 0
    rss_after: int = 0
    rss_peak: int = 0
    sums: dict[str, Any] = field(default_factory=dict)

    def per_second(self) -> float:
        """Lines a second."""
        return self.lines / self.seconds if self.seconds else 0.0


async def stream(host: str, port: int, key: str, *, source: str, lines: int, body: Body, pid: int) -> BulkMeasured:
    """Push generated orders to ``POST /api/v1/orders/bulk`` and read the results meanwhile.

    Args:
        host: Of the service.
        port: Of the service.
        key: An ingest key.
        source: Of every order; ``external_id`` is its number.
        lines: How many.
        body: An order by its number, without ``source`` and ``external_id`` (``bench.orders.body``).
        pid: The server's process, whose memory and that of its workers is looked at.

    Raises:
        RuntimeError: The service refused the request, or the answer was cut.
    """
    measured = BulkMeasured(lines, rss_before=resident_bytes(pid) or 0)
    reader, writer = await asyncio.open_connection(host, port, limit=1024 * 1024)
    head = f"POST /api/v1/orders/bulk HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
    writer.write(f"{head}Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    started = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch(measured, pid))
            sending = group.create_task(_send(writer, source, lines, body))
            await _receive(reader, measured, started)
            measured.seconds = time.perf_counter() - started
            watching.cancel()
            sending.cancel()
    finally:
        writer.close()
    measured.rss_after = resident_bytes(pid) or 0
    return measured


async def _send(writer: asyncio.StreamWriter, source: str, lines: int, body: Body) -> None:
    for piece in _pieces(source, lines, body):
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _pieces(source: str, lines: int, body: Body) -> Iterator[bytes]:
    piece = bytearray()
    for number in range(lines):
        line = {"source": source, "external_id": str(number), **body(number)}
        piece += json.dumps(line, separators=(",", ":")).encode() + b"\n"
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


async def _receive(reader: asyncio.StreamReader, measured: BulkMeasured, started: float) -> None:
    status = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
    if status != b"200":
        raise RuntimeError(f"The service answered {status.decode()}.")
    last = b""
    while size := int((await reader.readuntil(b"\r\n"))[:-2], 16):
        part = (await reader.readexactly(size + 2))[:-2]
        measured.first_result_seconds = measured.first_result_seconds or time.perf_counter() - started
        last = (last + part)[-2000:]
    measured.sums = json.loads(last.splitlines()[-1])
    if not measured.sums.get("done"):
        raise RuntimeError("The answer was cut.")


async def _watch(measured: BulkMeasured, pid: int) -> None:
    while True:
        measured.rss_peak = max(measured.rss_peak, resident_bytes(pid) or 0)
        await asyncio.sleep(0.1)
