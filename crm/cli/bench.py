"""``crm bench``: measure on this machine."""

from __future__ import annotations

import json
import platform
import sys
from os import cpu_count
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from crm.bench import orders as bench_orders
from crm.cli.connection import Json

app = typer.Typer(no_args_is_help=True, help="Measure on this machine, on a MongoDB and a server of its own.")


@app.callback()
def _about() -> None:
    """Measure on this machine, on a MongoDB and a server of its own."""


@app.command()
def orders(
    orders: Annotated[int, typer.Option(min=100, help="Pushes of each line.")] = 3000,
    connections: Annotated[int, typer.Option(min=1, max=1024, help="At the same time.")] = 32,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Server processes.")] = 1,
    as_json: Json = False,
) -> None:
    """Single order pushes over HTTP, beside the raw driver on the same MongoDB."""
    rows = bench_orders.run(orders, connections, workers)
    machine = f"Python {platform.python_version()}, {platform.machine()}, {cpu_count()} CPUs"
    if as_json:
        result = {"machine": machine, "connections": connections, "rows": bench_orders.to_dict(rows)}
        sys.stdout.write(json.dumps(result) + "\n")
        return
    table = Table("what", "orders/s", "x raw", "p50 ms", "p99 ms", title=f"{connections} connections, {machine}")
    for row in rows:
        ratio = row.per_second / rows[0].per_second
        table.add_row(row.name, f"{row.per_second:,.0f}", f"{ratio:.2f}", f"{row.p50_ms:.1f}", f"{row.p99_ms:.1f}")
    Console().print(table)
