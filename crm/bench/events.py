"""Browsing events: the service as tracking clients meet it, beside the raw driver on the same MongoDB and contract."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

from crm.bench import browsing, load, rounds, service
from crm.clock import now
from crm.connectors.segment.limits import Limits
from crm.connectors.segment.reading import read
from crm.database.raw_load import RawWriter
from crm.errors import OperatorError
from crm.events import rows
from crm.events.messages import Sender

_CONNECTIONS: Final = 16
_SINGLE_CONNECTIONS: Final = 32
_SIZES: Final = (100, 500)
_ALONE: Final = "one event a request, coalescing off"
_MEMORY_SIZE: Final = 500
#: So that a server that has just started has seen the known customers before.
_WARM_UP: Final = browsing.CROWDS * 500
#: What a number of events is rounded down to, so that every batch is full.
_DIVISOR: Final = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result, the median of its rounds.

    Attributes:
        name: What was done.
        connections: At the same time; threads for the raw driver.
        events: In each round.
        per_second: Events a second.
        p50_ms: Latency that half of the requests did not exceed.
        p99_ms: Latency that 99 of 100 did not exceed.
        server_mb: Memory of the server after it.
        cpu_us: Microseconds of the server's processor time for each event: what can be compared on a busy machine, too.
        beside: Name of the line that it is compared with.
        times_beside: Its rate as a multiple of that line's, in the same round.
    """

    name: str
    connections: int
    events: int
    per_second: float
    p50_ms: float
    p99_ms: float
    server_mb: float | None
    cpu_us: float | None
    beside: str
    times_beside: float


def run(events: int, workers: int, times: int, on_progress: rounds.Progress | None = None) -> list[Row]:
    """Measure how many events a second are taken.

    Args:
        events: Of each line in each round; those that come one by one are a fifth of it.
        workers: Processes of the server.
        times: How many rounds.
        on_progress: Called as (name of the line, runs done, of how many).
    """
    events -= events % _DIVISOR
    few = events // 5
    with ExitStack() as stack:
        stored = stack.enter_context(service.store())
        server = stack.enter_context(service.serving(stored, workers))
        alone = stack.enter_context(service.serving(stored, workers, CRM_GROUP_COMMIT="false"))
        for at in (server, alone):
            _batches(stored, at, _WARM_UP, 500, f"w{at.port % 1000}")
        lines = [line for size in _SIZES for line in _of_size(stored, server, events, size)]
        for name, at, tag in ((_ALONE, alone, "x"), ("one event a request", server, "y")):
            work = partial(_singles, stored, at, few, tag)
            lines.append(rounds.Line(name, _SINGLE_CONNECTIONS, few, work, at, _ALONE))
        medians = rounds.measure(lines, times, on_progress)
        _must_be_there(stored, 2 * _WARM_UP + times * (2 * len(_SIZES) * events + 2 * few))
    return [
        Row(
            line.name, line.connections, line.amount, of_line.per_second, of_line.p50_ms, of_line.p99_ms,
            of_line.server_mb, of_line.cpu_us, line.beside, of_line.times_beside,
        )
        for line, of_line in zip(lines, medians, strict=True)
    ]  # fmt: skip


def _of_size(stored: service.Store, server: service.Served, events: int, size: int) -> Iterator[rounds.Line]:
    """The raw driver, the service, and the service once more with the same."""
    raw = f"raw driver, insert_many of {size}"
    first = f"{size} events a request"
    letter = "abc"[_SIZES.index(size)]
    yield rounds.Line(
        raw, _CONNECTIONS, events, lambda number: _raw(stored, events, size, f"r{letter}{number}"), None, raw
    )
    yield rounds.Line(
        first,
        _CONNECTIONS,
        events,
        lambda number: _batches(stored, server, events, size, f"{letter}{number}"),
        server,
        raw,
    )
    yield rounds.Line(
        f"{first}, the same again",
        _CONNECTIONS,
        events,
        lambda number: _batches(stored, server, events, size, f"{letter}{number}"),
        server,
        first,
    )


def _batches(stored: service.Store, server: service.Served, events: int, size: int, tag: str) -> load.Measured:
    prepared = list(browsing.batches(stored.key, tag, events, size))
    measured = _send(server, prepared, _CONNECTIONS)
    measured.answers = len(prepared) * size
    return measured


def _singles(stored: service.Store, server: service.Served, events: int, tag: str, number: int) -> load.Measured:
    prepared = list(itertools.islice(browsing.singles(stored.key, f"{tag}{number}", events), events))
    return _send(server, prepared, _SINGLE_CONNECTIONS)


def _must_be_there(stored: service.Store, events: int) -> None:
    """Every event, once: a service that loses some is fast."""
    with RawWriter(stored.mongodb_uri, stored.settings.mongodb_database, "events") as writer:
        if (count := writer.count()) != events:
            raise OperatorError(f"{events} events were sent, and {count} are stored.")


def _send(server: service.Served, requests: Iterable[bytes], connections: int) -> load.Measured:
    measured = asyncio.run(load.run(service.HOST, server.port, iter(requests), connections=connections))
    if set(measured.statuses) != {200}:
        raise OperatorError(f"Answers were {measured.statuses}.")
    return measured


def documents(tag: str, events: int, size: int) -> list[list[dict[str, Any]]]:
    """The same events as the service would store them, in batches."""
    sender = Sender("key_raw", tag, trusted=True)
    # Requests that were prepared are under way for a while: their clock seems slow, and is corrected.
    moment = now() + timedelta(seconds=2)
    batches = []
    for request in browsing.batches("", tag, events, size):
        said = read(None, request.partition(b"\r\n\r\n")[2], received_at=moment, limits=Limits())
        batches.append([rows.of_message(sender, message, moment) for _, message in said.messages])
    return batches


def _raw(stored: service.Store, events: int, size: int, tag: str) -> load.Measured:
    prepared = documents(tag, events, size)
    measured = load.Measured(answers=events)
    numbers = itertools.count()
    with RawWriter(stored.mongodb_uri, stored.settings.mongodb_database, "events") as writer:

        def work(_thread: int) -> None:
            while (number := next(numbers)) < len(prepared):
                began = time.perf_counter()
                writer.insert_many(prepared[number])
                measured.latencies.append(time.perf_counter() - began)

        started = time.perf_counter()
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            list(pool.map(work, range(_CONNECTIONS)))
        measured.seconds = time.perf_counter() - started
    return measured


@dataclass(slots=True)
class Memory:
    """What the memory of a server with one worker did while so many events went through it.

    Attributes:
        events: How many.
        seconds: That took.
        mb_before: Before the first.
        mb_after: After the last.
        mb_peak_first_half: The highest seen until half of them were sent.
        mb_peak_second_half: The highest seen from then on.
    """

    events: int
    seconds: float = 0.0
    mb_before: float = 0.0
    mb_after: float = 0.0
    mb_peak_first_half: float = 0.0
    mb_peak_second_half: float = 0.0


def memory(events: int, on_progress: rounds.Progress | None = None) -> Memory:
    """Send events in five hundreds through one worker on a store of its own, and look at its memory meanwhile."""
    events -= events % _DIVISOR
    with service.store() as stored, service.serving(stored, 1) as server:
        measured = Memory(events, mb_before=server.resident_mb() or 0.0)
        sent = 0

        def requests() -> Iterator[bytes]:
            nonlocal sent
            for request in browsing.batches(stored.key, "m", events, _MEMORY_SIZE, crowds=10**6):
                yield request
                sent += _MEMORY_SIZE

        async def watch() -> None:
            while True:
                found = server.resident_mb() or 0.0
                if sent < events / 2:
                    measured.mb_peak_first_half = max(measured.mb_peak_first_half, found)
                else:
                    measured.mb_peak_second_half = max(measured.mb_peak_second_half, found)
                if on_progress:
                    on_progress("memory", sent, events)
                await asyncio.sleep(0.1)

        async def both() -> load.Measured:
            watching = asyncio.create_task(watch())
            try:
                return await load.run(service.HOST, server.port, requests(), connections=_CONNECTIONS)
            finally:
                watching.cancel()

        done = asyncio.run(both())
        if set(done.statuses) != {200}:
            raise OperatorError(f"Answers were {done.statuses}.")
        measured.seconds, measured.mb_after = done.seconds, server.resident_mb() or 0.0
        _must_be_there(stored, events)
    return measured
