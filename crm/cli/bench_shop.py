"""``crm bench load`` and ``crm bench staff``: an invented shop of any size, and what staff wait for in it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from os import cpu_count
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from crm.bench import service
from crm.bench.shop import filling
from crm.bench.shop import staff as bench_staff
from crm.bench.shop.plan import Plan, whole_day
from crm.cli.connection import DataDir, Json, MongodbUri, target
from crm.clock import now
from crm.database.raw_load import eased_for_loading
from crm.errors import NotConfigured
from crm.ops.progress import stages
from crm.ops.provision import provision

CacheGb = Annotated[float, typer.Option("--cache-gb", min=0.25, help="Memory of an embedded MongoDB for its cache.")]
Customers = Annotated[int, typer.Option(min=1, help="How many.")]
Orders = Annotated[int, typer.Option(min=1, help="How many, all customers together.")]
Seed = Annotated[int, typer.Option(help="From what the shop is invented.")]
#: Aims: what is slower, or looks at more, is shown in red.
_RATIO: Final = 1.5
_P99_MS: Final = 50.0
_EXAMINED: Final = 200


def load(
    customers: Customers = 1_000_000,
    orders: Orders = 3_000_000,
    seed: Seed = 1,
    processes: Annotated[int, typer.Option(min=1, max=64, help="At work at the same time.")] = (cpu_count() or 1) + 1,
    cache_gb: CacheGb = 4.0,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Fill an empty database with an invented shop; the same command again goes on where the last one was cut off."""
    if mongodb_uri is None and data_dir is None:
        raise NotConfigured("Say which database is to be filled: --data-dir, or --mongodb-uri.")
    console = Console(stderr=True)
    with target(mongodb_uri, data_dir, cache_gb=cache_gb) as (uri, settings):
        asyncio.run(provision(uri, settings))
        database = settings.mongodb_database
        plan = filling.begin(uri, database, Plan(seed, customers, orders, whole_day(now())))

        def tell(customers_there: int, orders_there: int) -> None:
            if customers_there or orders_there:
                console.print(
                    f"Going on: {customers_there:,} customers and {orders_there:,} orders are there.", highlight=False
                )

        # Somebody else's server is left as it is.
        eased = eased_for_loading(uri) if data_dir is not None else nullcontext()
        with stages(console) as on_progress, eased:
            filled = filling.fill(uri, database, plan, processes, tell, on_progress)
    if as_json:
        sys.stdout.write(json.dumps({**asdict(filled), "per_second": filled.per_second()}) + "\n")
        return
    said = f"{filled.documents:,} documents in {filled.seconds:,.0f} s, {filled.per_second():,.0f} a second"
    if cpu_us := filled.cpu_us():
        said += f", {cpu_us:,.0f} µs of processor time each"
    Console().print(f"{said}.", highlight=False)


def staff(
    data_dir: Annotated[Path, typer.Option("--data-dir", help="Where `crm bench load` has put the large shop.")],
    small: Annotated[int, typer.Option(min=100, help="Customers of the small shop that it is compared with.")] = 10_000,
    requests: Annotated[int, typer.Option(min=1, help="Of each kind in each round.")] = 200,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often each kind is measured.")] = 3,
    cache_gb: CacheGb = 4.0,
    as_json: Json = False,
) -> None:
    """What staff wait for: search, lists, overview, timeline and orders in a large shop and in a small one."""
    with stages(Console(stderr=True)) as on_progress:
        little, large, rows = bench_staff.run(data_dir, small, requests, rounds, cache_gb, on_progress)
    sizes = {name: {"customers": p.customers, "orders": p.orders} for name, p in (("small", little), ("large", large))}
    if as_json:
        found = [{**asdict(row), "ratio": row.ratio} for row in rows]
        sys.stdout.write(json.dumps({"machine": service.machine(), **sizes, "rows": found}) + "\n")
    else:
        _show(little, large, rows)


def _show(little: Plan, large: Plan, rows: Sequence[bench_staff.Row]) -> None:
    table = Table("what", title=service.machine(), caption="p99 and documents examined are the larger shop's")
    for heading in (f"p50 ms of {little.customers:,}", f"of {large.customers:,}", "ratio", "p99 ms", "examined"):
        table.add_column(heading, justify="right")
    for row in rows:
        slow = row.is_search and row.large.p99_ms >= _P99_MS
        table.add_row(
            row.name, f"{row.small.p50_ms:.1f}", f"{row.large.p50_ms:.1f}",
            _marked(f"{row.ratio:.2f}", row.ratio > _RATIO), _marked(f"{row.large.p99_ms:.1f}", slow),
            _marked(str(row.large.examined), row.is_search and row.large.examined > _EXAMINED),
        )  # fmt: skip
    Console().print(table)


def _marked(text: str, wrong: bool) -> str:
    return f"[red]{text}[/red]" if wrong else text
