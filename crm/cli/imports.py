"""``crm import``: files into a running service, through its API."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console

from crm.cli.connection import Json
from crm.connectors.online_retail import importer
from crm.connectors.online_retail.report import ImportReport, render
from crm.ops.progress import stages

app = typer.Typer(no_args_is_help=True, help="Send files to a running service.")


@app.callback()
def _about() -> None:
    """Send files to a running service."""


@app.command("online-retail")
def online_retail(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The CSV file, gzipped or not.")],
    to: Annotated[str, typer.Option("--to", help="Where the service is.")] = "http://127.0.0.1:8000",
    key: Annotated[str, typer.Option("--key", envvar="CRM_API_KEY", help="An ingest key.", show_default=False)] = "",
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests at a time.")] = 16,
    as_json: Json = False,
) -> None:
    """Send the UCI "Online Retail" data set: each invoice an order. Run it again as often as you like."""
    if not key:
        raise typer.BadParameter("Give an ingest key, or set CRM_API_KEY.", param_hint="--key")

    if not to.startswith(("http://", "https://")):
        raise typer.BadParameter("Give an address such as http://127.0.0.1:8000.", param_hint="--to")

    async def work() -> ImportReport:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=to, headers=headers, timeout=60) as client:
            with stages(Console(stderr=True)) as on_progress:
                return await importer.run(client, file, concurrency=concurrency, on_progress=on_progress)

    report = asyncio.run(work())
    if as_json:
        sys.stdout.write(json.dumps(report.to_dict(), ensure_ascii=False) + "\n")
    else:
        render(report, Console())
    if not report.accounted():
        raise typer.Exit(1)
