"""``crm bench load`` and ``crm bench staff``: an invented shop of any size, and what staff wait for in it."""

from __future__ import annotations

import asyncio
import json
import sys
from os import cpu_count
from typing import Annotated

import typer
from rich.console import Console

from crm.bench.shop import filling
from crm.bench.shop.plan import Plan, whole_day
from crm.cli.connection import DataDir, Json, MongodbUri, target
from crm.clock import now
from crm.errors import NotConfigured
from crm.ops.progress import stages
from crm.ops.provision import provision

CacheGb = Annotated[float, typer.Option("--cache-gb", min=0.25, help="Memory of an embedded MongoDB for its cache.")]
Customers = Annotated[int, typer.Option(min=1, help="How many.")]
Orders = Annotated[int, typer.Option(min=1, help="How many, all customers together.")]
Seed = Annotated[int, typer.Option(help="From what the shop is invented.")]


def load(
    customers: Customers = 1_000_000,
    orders: Orders = 3_000_000,
    seed: Seed = 1,
    processes: Annotated[int, typer.Option(min=1, max=64, help="At work at the same time.")] = cpu_count() or 1,
    cache_gb: CacheGb = 2.0,
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

        with stages(console) as on_progress:
            filled = filling.fill(uri, database, plan, processes, tell, on_progress)
    if as_json:
        sys.stdout.write(json.dumps({"documents": filled.documents, "seconds": filled.seconds}) + "\n")
        return
    said = f"{filled.documents:,} documents in {filled.seconds:,.0f} s, {filled.per_second():,.0f} a second."
    Console().print(said, highlight=False)
