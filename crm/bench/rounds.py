"""Lines that are measured in turn, in several rounds: a busy machine then slows all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from crm.bench import load, service

Progress = Callable[[str, int, int], None]
"""Called as (name of the line, runs done, of how many)."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a line does in each round.

    Attributes:
        name: What is done.
        connections: At the same time; threads for the raw driver.
        amount: Things that are sent in each round.
        run: Does it, in the round of this number.
        server: Whose memory is shown.
        beside: Name of the line that it is compared with.
    """

    name: str
    connections: int
    amount: int
    run: Callable[[int], load.Measured]
    server: service.Served | None
    beside: str


@dataclass(frozen=True, slots=True)
class Medians:
    """What a line's rounds gave.

    Attributes:
        per_second: Things a second.
        p50_ms: Latency that half of the requests did not exceed.
        p99_ms: Latency that 99 of 100 did not exceed.
        server_mb: Memory of the server after the last round.
        cpu_us: Microseconds of the server's processor time for each thing.
        times_beside: Its rate as a multiple of that of the line beside it, in the same round.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    server_mb: float | None
    cpu_us: float | None
    times_beside: float


def measure(lines: Sequence[Line], rounds: int, on_progress: Progress | None) -> list[Medians]:
    """Measure each line in each round, and give the medians in the order of the lines."""
    runs: list[list[load.Measured]] = [[] for _ in lines]
    memory: list[float | None] = [None for _ in lines]
    used: list[list[float]] = [[] for _ in lines]
    for number in range(rounds):
        for place, line in enumerate(lines):
            if on_progress:
                on_progress(line.name, number * len(lines) + place, rounds * len(lines))
            before = line.server.cpu_seconds() if line.server else None
            runs[place].append(line.run(number))
            after = line.server.cpu_seconds() if line.server else None
            if before is not None and after is not None:
                used[place].append((after - before) * 1e6 / line.amount)
            memory[place] = line.server.resident_mb() if line.server else None
    rates: dict[str, list[float]] = {}
    for line, of_line in zip(lines, runs, strict=True):
        rates.setdefault(line.name, [run.per_second() for run in of_line])
    return [
        Medians(
            median(run.per_second() for run in of_line),
            median(run.percentile(0.5) for run in of_line),
            median(run.percentile(0.99) for run in of_line),
            memory[place],
            median(used[place]) if used[place] else None,
            median(run.per_second() / rate for run, rate in zip(of_line, rates[line.beside], strict=True)),
        )
        for place, (line, of_line) in enumerate(zip(lines, runs, strict=True))
    ]
