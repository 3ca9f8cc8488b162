"""``crm restore``: a backup is put back, and compared with what was saved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from crm.cli.backups import Place, identities, place
from crm.cli.connection import DataDir, Json, MongodbUri, target
from crm.config import Settings
from crm.errors import BackupFailed
from crm.ops.backup import listing
from crm.ops.backup.restoring import Restored, Restoring
from crm.ops.backup.restoring import restore as put_back
from crm.ops.backup.scratch import scratch_server
from crm.ops.progress import stages


def restore(
    name: Annotated[str | None, typer.Argument(help="Of the backup; else the latest.")] = None,
    at: Place = None,
    scratch: Annotated[
        bool,
        typer.Option("--scratch", help="To an embedded MongoDB that is removed again: only to see that it can be."),
    ] = False,
    yes_replace: Annotated[
        str | None, typer.Option("--yes-replace", metavar="NAME", help="Remove the database of that name first.")
    ] = None,
    ledger_file: Annotated[
        Path | None,
        typer.Option(
            "--ledger", exists=True, dir_okay=False, help="A ledger newer than the backups (CRM_ERASURE_FILE)."
        ),
    ] = None,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Restore to an empty server; then compare every count and hash, the rules and the roles, erase again, examine."""
    with _server(mongodb_uri, data_dir, scratch) as (uri, settings), stages(Console(stderr=True)) as progress:
        if yes_replace is not None and yes_replace != settings.mongodb_database:
            raise BackupFailed(f"The database is {settings.mongodb_database}, not {yes_replace}: nothing was done.")
        where = place(settings, at)
        backup = listing.find(where, settings.mongodb_database, name)
        asked = Restoring(
            settings, uri, where, backup, identities(settings), ledger_file, yes_replace is not None, progress
        )
        done = put_back(asked)
    if as_json:
        Console().print_json(json.dumps(done.to_dict()))
    else:
        show(done)
    if not done.well:
        raise typer.Exit(1)


@contextmanager
def _server(mongodb_uri: str | None, data_dir: Path | None, scratch: bool) -> Iterator[tuple[str, Settings]]:
    if scratch:
        with scratch_server(Settings.from_environment()) as made:
            yield made
        return
    with target(mongodb_uri, data_dir) as given:
        yield given


def show(done: Restored) -> None:
    """What came of it, for people."""
    console = Console(soft_wrap=True, highlight=False)
    backup = done.backup
    console.print(f"{backup.name}, as of {backup.oplog_last.moment:%Y-%m-%d %H:%M:%S} UTC")
    compared = "every collection has the documents that were saved" if done.compared else "not compared"
    if not done.compared or not done.problems:
        console.print(f"  {done.documents:,} documents restored; {compared}")
    if done.erased:
        console.print(f"  {done.erased:,} people who had been erased were erased again")
    parts = ", ".join(f"{part} {seconds:g} s" for part, seconds in done.seconds.items())
    console.print(f"  {done.took:g} s: {parts}")
    for note in done.notes:
        console.print(f"  [dim]{escape(note)}[/dim]")
    for problem in done.problems:
        console.print(f"[red]  {escape(problem)}[/red]")
    console.print("[green]Proven.[/green]" if done.well else "[red]This is not what was saved.[/red]")
