"""A light HTTP/1.1 load generator: fixed requests over kept-alive connections, every latency recorded.

A full client library would use as much of the machine as the server that it measures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Measured:
    """What a run gave.

    Attributes:
        seconds: From the first request to the last answer.
        latencies: Seconds of each request that was answered.
        statuses: How many answers of each status.
        answers: How many there were in all, where a request has several; None is one for each latency.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    answers: int | None = None

    def per_second(self) -> float:
        """Answers a second."""
        answers = len(self.latencies) if self.answers is None else self.answers
        return answers / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Latency in milliseconds that this share of requests did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


def request(method: str, path: str, host: str, authorization: str, body: bytes = b"") -> bytes:
    """One request as bytes."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def run(host: str, port: int, requests: Iterator[bytes], *, connections: int) -> Measured:
    """Send all requests, each connection taking the next when its last was answered."""
    measured = Measured()
    started = time.perf_counter()
    await asyncio.gather(*(_connection(host, port, requests, measured) for _ in range(connections)))
    measured.seconds = time.perf_counter() - started
    return measured


async def _connection(host: str, port: int, requests: Iterator[bytes], measured: Measured) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for payload in requests:
            began = time.perf_counter()
            writer.write(payload)
            status = await _answer(reader)
            measured.latencies.append(time.perf_counter() - began)
            measured.statuses[status] = measured.statuses.get(status, 0) + 1
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    lengths = [line.split(b":", 1)[1] for line in head if line.lower().startswith(b"content-length:")]
    await reader.readexactly(int(lengths[0]) if lengths else 0)
    return int(head[0].split(b" ", 2)[1])
