"""``crm bench``: measure on this machine."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from crm.bench import bulk as bench_bulk
from crm.bench import events as bench_events
from crm.bench import orders as bench_orders
from crm.bench import service as bench_service
from crm.bench import timeline as bench_timeline
from crm.cli import bench_shop
from crm.cli.connection import Json
from crm.ops.progress import stages

app = typer.Typer(no_args_is_help=True, help="Measure on this machine, on a MongoDB and a server of its own.")

app.command()(bench_shop.load)
app.command()(bench_shop.staff)
#: Reads of each line.
_TIMELINE_REQUESTS = 1_000


@app.callback()
def _about() -> None:
    """Measure on this machine, on a MongoDB and a server of its own."""


@app.command()
def bulk(
    orders: Annotated[int, typer.Option(min=500, help="Lines of the one request.")] = 500_000,
    customers: Annotated[int, typer.Option(min=1, help="Whose orders they are, in turn.")] = 50_000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Server processes.")] = 1,
    as_json: Json = False,
) -> None:
    """Many orders as lines of one request, and what the server's memory does meanwhile."""

    def body(number: int) -> dict[str, Any]:
        return bench_orders.various(number, customers)

    with bench_service.store() as stored, bench_service.serving(stored, workers) as server:
        measured = asyncio.run(
            bench_bulk.stream(
                bench_service.HOST, server.port, stored.key,
                source="bench", lines=orders, body=body, pid=server.pid,
            )
        )  # fmt: skip
    if as_json:
        sys.stdout.write(
            json.dumps({"machine": bench_service.machine(), "per_second": measured.per_second(), **asdict(measured)})
            + "\n"
        )
        return
    table = Table(
        "orders", "orders/s", "first result s", "MB before", "MB at most", "MB after", title=bench_service.machine()
    )
    table.add_row(
        f"{orders:,}", f"{measured.per_second():,.0f}", f"{measured.first_result_seconds:.2f}",
        *(f"{found / 1e6:.0f}" for found in (measured.rss_before, measured.rss_peak, measured.rss_after)),
    )  # fmt: skip
    Console().print(table)


@app.command()
def events(
    events: Annotated[int, typer.Option(min=2000, help="Of each line in each round; one by one a fifth.")] = 20_000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Server processes.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often each line is measured; the median counts.")] = 3,
    timeline_events: Annotated[
        int, typer.Option(min=0, help="Of the large store on which timelines are read; 0 leaves that out.")
    ] = 1_000_000,
    memory_events: Annotated[
        int, typer.Option(min=0, help="Sent through one worker to see what its memory does; 0 leaves that out.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Browsing events as tracking clients send them, beside the raw driver on the same MongoDB."""
    with stages(Console(stderr=True)) as on_progress:
        rows = bench_events.run(events, workers, rounds, on_progress)
        read = bench_timeline.run(timeline_events, _TIMELINE_REQUESTS, on_progress) if timeline_events else []
        memory = bench_events.memory(memory_events, on_progress) if memory_events else None
    if as_json:
        result = {
            "machine": bench_service.machine(),
            "workers": workers,
            "rounds": rounds,
            "rows": [asdict(row) for row in rows],
            "timeline": [asdict(row) for row in read],
            "memory": asdict(memory) if memory else None,
        }
        sys.stdout.write(json.dumps(result) + "\n")
        return
    _show_events(rows, read, memory)


def _show_events(
    rows: Sequence[bench_events.Row], read: Sequence[bench_timeline.Row], memory: bench_events.Memory | None
) -> None:
    columns = ("what", "at once", "events/s", "x", "beside", "p50 ms", "p99 ms", "server MB", "CPU µs")
    table = Table(*columns, title=bench_service.machine())
    for row in rows:
        held = "" if row.server_mb is None else f"{row.server_mb:.0f}"
        table.add_row(
            row.name, str(row.connections), f"{row.per_second:,.0f}", f"{row.times_beside:.2f}", row.beside,
            f"{row.p50_ms:.1f}", f"{row.p99_ms:.1f}", held, "" if row.cpu_us is None else f"{row.cpu_us:.1f}",
        )  # fmt: skip
    Console().print(table)
    if read:
        table = Table("first page of a timeline", "events stored", "p50 ms", "p99 ms")
        for line in read:
            table.add_row(line.name, f"{line.stored:,}", f"{line.p50_ms:.1f}", f"{line.p99_ms:.1f}")
        Console().print(table)
    if memory:
        table = Table("events through one worker", "events/s", "MB before", "at most, 1st half", "2nd half", "after")
        held_mb = (memory.mb_before, memory.mb_peak_first_half, memory.mb_peak_second_half, memory.mb_after)
        table.add_row(
            f"{memory.events:,}", f"{memory.events / memory.seconds:,.0f}", *(f"{found:.0f}" for found in held_mb)
        )
        Console().print(table)


@app.command()
def orders(
    orders: Annotated[int, typer.Option(min=100, help="Pushes of each line in each round.")] = 3000,
    connections: Annotated[
        int, typer.Option(min=1, max=256, help="At the same time; one line uses four times as many.")
    ] = 32,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Server processes.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often each line is measured; the median counts.")] = 3,
    as_json: Json = False,
) -> None:
    """Order pushes over HTTP, beside the raw driver on the same MongoDB."""
    with stages(Console(stderr=True)) as on_progress:
        rows = bench_orders.run(orders, connections, workers, rounds, on_progress)
    if as_json:
        result = {
            "machine": bench_service.machine(),
            "workers": workers,
            "rounds": rounds,
            "rows": [asdict(row) for row in rows],
        }
        sys.stdout.write(json.dumps(result) + "\n")
        return
    table = Table(
        "what", "at once", "orders/s", "x raw", "p50 ms", "p99 ms", "server MB", title=bench_service.machine()
    )
    rates = {row.name: row.per_second for row in rows}
    for row in rows:
        ratio, memory = row.per_second / rates[row.beside], "" if row.server_mb is None else f"{row.server_mb:.0f}"
        table.add_row(
            row.name, str(row.connections), f"{row.per_second:,.0f}", f"{ratio:.2f}",
            f"{row.p50_ms:.1f}", f"{row.p99_ms:.1f}", memory,
        )  # fmt: skip
    Console().print(table)
