"""``crm import``: files into a running service, through its API."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from crm.cli.connection import Json
from crm.connectors.files import importer as files
from crm.connectors.files.kinds import KINDS, KindName
from crm.connectors.files.reading import Changes
from crm.connectors.online_retail import importer
from crm.connectors.online_retail.report import ImportReport, render
from crm.ops.progress import bytes_done, stages

app = typer.Typer(no_args_is_help=True, help="Send files to a running service.")

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The file, gzipped or not.")]
KindOption = Annotated[KindName, typer.Option("--kind", help="What a line is.")]
To = Annotated[str, typer.Option("--to", help="Where the service is.")]
Key = Annotated[str, typer.Option("--key", envvar="CRM_API_KEY", help="An ingest key.", show_default=False)]
Rejects = Annotated[
    Path | None,
    typer.Option("--rejects", help="Where refused lines go. [default: FILE.rejects.ndjson]", show_default=False),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an earlier run was ended.")]
Source = Annotated[
    str | None,
    typer.Option("--source", help="For lines that name none: the system they come from.", show_default=False),
]
Renamed = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="OLD=NEW", help="Rename a field or column; OLD= leaves it out.", show_default=False),
]
_HERE = "http://127.0.0.1:8000"


@app.callback()
def _about() -> None:
    """Send files to a running service."""


@app.command("online-retail")
def online_retail(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The CSV file, gzipped or not.")],
    to: To = _HERE,
    key: Key = "",
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests at a time.")] = 16,
    as_json: Json = False,
) -> None:
    """Send the UCI "Online Retail" data set: orders, and refunds of them. Run it again as often as you like."""
    _check(to, key)

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


@app.command("ndjson")
def ndjson(
    file: File,
    kind: KindOption,
    to: To = _HERE,
    key: Key = "",
    rejects: Rejects = None,
    resume: Resume = False,
    source: Source = None,
    renamed: Renamed = None,
    as_json: Json = False,
) -> None:
    """Send a file with a JSON object in each line, as the bulk routes take it. Send it again as often as you like."""
    _import(_job(file, kind, to, key, rejects, source, renamed, resume=resume, table=False), key, resume, as_json)


@app.command("csv")
def csv(
    file: File,
    kind: KindOption,
    to: To = _HERE,
    key: Key = "",
    rejects: Rejects = None,
    resume: Resume = False,
    source: Source = None,
    renamed: Renamed = None,
    as_json: Json = False,
) -> None:
    """Send a table: its first row has paths such as customer.email; rows of one order follow each other."""
    _import(_job(file, kind, to, key, rejects, source, renamed, resume=resume, table=True), key, resume, as_json)


def _check(to: str, key: str) -> None:
    if not key:
        raise typer.BadParameter("Give an ingest key, or set CRM_API_KEY.", param_hint="--key")
    if not to.startswith(("http://", "https://")):
        raise typer.BadParameter("Give an address such as http://127.0.0.1:8000.", param_hint="--to")


def _job(
    file: Path,
    kind: KindName,
    to: str,
    key: str,
    rejects: Path | None,
    source: str | None,
    renamed: list[str] | None,
    *,
    resume: bool,
    table: bool,
) -> files.Job:
    _check(to, key)
    chosen = KINDS[kind]
    if source is not None and not chosen.has_source:
        raise typer.BadParameter(f"A line of {kind.value} has no field source.", param_hint="--source")
    pairs = [text.partition("=") for text in renamed or ()]
    names = {old: new for old, equals, new in pairs if old and equals}
    if len(names) != len(pairs):
        raise typer.BadParameter("Give OLD=NEW, each OLD once.", param_hint="--map")
    if rejects is not None and rejects.exists() and not resume:
        raise typer.BadParameter(
            f"{rejects} is there already; name another file, or remove it.", param_hint="--rejects"
        )
    kept = rejects or file.with_name(f"{file.name}.rejects.ndjson")
    return files.Job(file, chosen, table, to, Changes(source, names), kept)


def _import(job: files.Job, key: str, resume: bool, as_json: bool) -> None:
    async def work() -> files.ImportReport:
        headers = {"Authorization": f"Bearer {key}"}
        # An answer begins with the first 500 lines; those may wait for the database to come back.
        timeout = httpx.Timeout(120, connect=10)
        async with httpx.AsyncClient(base_url=job.to, headers=headers, timeout=timeout) as client:
            with bytes_done(Console(stderr=True), job.file.name) as on_progress:
                return await files.run(client, job, resume=resume, on_progress=on_progress)

    try:
        report = asyncio.run(work())
    except KeyboardInterrupt:
        how = "run it again with --resume to go on" if job.journal.exists() else "nothing was sent yet"
        sys.stderr.write(f"crm: Stopped; {how}.\n")
        raise typer.Exit(130) from None
    said = report.to_dict()
    sys.stdout.write(f"{json.dumps(said)}\n" if as_json else _sentences(report, said))
    if not report.clean():
        raise typer.Exit(1)


def _sentences(report: files.ImportReport, said: dict[str, Any]) -> str:
    counts = ", ".join(f"{said[result]:,} {result}" for result in files.RESULTS)
    out = [f"{report.kind}: {said['lines']:,} lines: {counts}"]
    if report.resumed_at:
        out.append(f"went on behind line {report.resumed_at:,}; the numbers are of the whole file")
    if report.rejects is not None:
        out.append(f"what was not taken, and why, is in {report.rejects}")
    return "\n".join(out) + "\n"
