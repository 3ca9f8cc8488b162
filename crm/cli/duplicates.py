"""``crm duplicates``: customers who may be one person."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from crm.cli.connection import DataDir, Json, MongodbUri
from crm.cli.sign_in import run_service, show_table
from crm.customers.service import estimated_count
from crm.database.paging import LARGEST_PAGE, PageRequest
from crm.duplicates import service
from crm.identity import SYSTEM
from crm.ops.progress import stages

app = typer.Typer(no_args_is_help=True, help="Customers who may be one person.")


@app.command("scan")
def scan(
    after: Annotated[str, typer.Option(help="Go on behind this customer, where another scan was interrupted.")] = "",
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Look through all customers for pairs who may be one. Works while the service runs."""
    last = after
    with stages(Console(stderr=True)) as progress:

        async def work() -> service.Scanned:
            about = await estimated_count()

            def looked_at(count: int, customer_id: str) -> None:
                nonlocal last
                last = customer_id
                progress("customers", count, max(about, count))

            return await service.scan(SYSTEM, after, looked_at)

        try:
            done = run_service(mongodb_uri, data_dir, work)
        except KeyboardInterrupt:
            if last:
                Console(stderr=True, soft_wrap=True).print(f"Go on with: crm duplicates scan --after {last}")
            raise
    if as_json:
        crowded = [{"reason": reason, "customer": customer_id} for reason, customer_id in done.crowded]
        told: dict[str, Any] = {"customers": done.customers, "pairs": done.pairs, "crowded": crowded}
        sys.stdout.write(json.dumps(told) + "\n")
        return
    console = Console(soft_wrap=True)
    console.print(f"{done.pairs:,} pairs among {done.customers:,} customers.", highlight=False)
    for reason, customer_id in done.crowded:
        console.print(f"Too many to be pairs: {reason} as {customer_id}.", highlight=False)


@app.command("list")
def list_pairs(
    limit: Annotated[int, typer.Option(min=1, max=LARGEST_PAGE)] = 50,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show open pairs, the likeliest first; the API has all of them, and merges."""
    page = run_service(mongodb_uri, data_dir, lambda: service.page(SYSTEM, "open", None, PageRequest(limit)))
    rows = [
        (pair.score, ", ".join(pair.reasons), *(one.id for one in pair.customers), pair.found_at) for pair in page.items
    ]
    show_table(("score", "reasons", "one", "other", "found_at"), rows, as_json)
