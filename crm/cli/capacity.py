"""``crm db capacity``: how many machines a larger shop asks for."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from crm.cli.connection import DataDir, Json, MongodbUri, target
from crm.config import Settings
from crm.contracts import contract
from crm.database.sizes import Size, sizes
from crm.errors import Conflict
from crm.ops.provision import administration
from crm.ops.sharding.capacity import Estimate, Machine, estimate


def capacity(
    customers: Annotated[int, typer.Option(min=1, help="How many there are to be.")] = 10_000_000,
    orders_a_second: Annotated[float, typer.Option(min=0, help="In the busiest minute.")] = 100,
    disk_gb: Annotated[float, typer.Option(min=1, help="Of a member of a shard.")] = 1_000,
    cache_gb: Annotated[float, typer.Option(min=0.25, help="Of a member: half of its memory.")] = 16,
    cores: Annotated[int, typer.Option(min=1, help="Of a member.")] = 4,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Estimate how many shards it takes, from what the documents of this store take now. Changes nothing."""
    with target(mongodb_uri, data_dir) as (uri, settings):
        found = asyncio.run(_sizes(uri, settings))
    if "customers" not in found:
        raise Conflict("There are no customers yet to learn from (`crm bench load` invents some).")
    told = estimate(found, customers, orders_a_second, Machine(disk_gb, cache_gb, cores))
    if as_json:
        now = {name: asdict(size) for name, size in found.items()}
        sys.stdout.write(json.dumps({"now": now, **asdict(told), "shards": told.shards}) + "\n")
    else:
        _show(found, told)


async def _sizes(uri: str, settings: Settings) -> dict[str, Size]:
    async with administration(uri, settings) as database:
        return await sizes(database, [collection.name for collection in contract().collections])


def _show(found: dict[str, Size], told: Estimate) -> None:
    table = Table("collection", "documents", "bytes each", "on disk", "indexes", "a customer, on disk")
    for name, size in sorted(found.items(), key=lambda pair: -(pair[1].stored + pair[1].indexes)):
        of_customer = f"{told.per_customer[name]:,.0f}" if name in told.per_customer else "one shard"
        each = (f"{part / size.documents:,.0f}" for part in (size.data, size.stored, size.indexes))
        table.add_row(name, f"{size.documents:,}", *each, of_customer)
    console = Console()
    console.print(table)
    console.print(
        f"{told.spread_gb:,.1f} GB to be spread, {told.one_shard_gb:,.1f} GB on one shard, {told.cache_gb:,.1f} GB of "
        "cache\n"
        f"shards by disk {told.by_disk}, by cache {told.by_cache}, by orders {told.by_orders}: {told.shards}",
        highlight=False,
    )
