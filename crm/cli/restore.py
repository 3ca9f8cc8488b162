"""``crm restore``: a backup is put back, and compared with what was saved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from crm.audit.actions import Action
from crm.cli.backups import Place, identities, place
from crm.cli.connection import DataDir, Json, MongodbUri, operator, target
from crm.config import Settings
from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed
from crm.ops.backup import listing
from crm.ops.backup.recording import Record, write_down
from crm.ops.backup.restoring import Progress, Restored, Restoring
from crm.ops.backup.restoring import restore as put_back
from crm.ops.backup.scratch import scratch_server
from crm.ops.progress import stages


def moment(text: str) -> datetime:
    """A moment with its time zone.

    Raises:
        typer.BadParameter: It is none.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("a moment is 2026-11-25T10:15:00Z") from None
    if at.tzinfo is None:
        raise typer.BadParameter("say the time zone, too: 2026-11-25T10:15:00Z")
    return at


def restore(
    name: Annotated[str | None, typer.Argument(help="Of the backup; else the latest.")] = None,
    at: Place = None,
    to: Annotated[
        datetime | None,
        typer.Option(
            "--to",
            metavar="TIME",
            parser=moment,
            help="As it was when that second began (2026-11-25T10:15:00Z), from slices of `crm backup tail`.",
        ),
    ] = None,
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
    with _server(mongodb_uri, data_dir, scratch) as (uri, settings):
        if yes_replace is not None and yes_replace != settings.mongodb_database:
            raise BackupFailed(f"The database is {settings.mongodb_database}, not {yes_replace}: nothing was done.")
        where = place(settings, at)
        until = OplogTime(int(to.timestamp()), 0) if to is not None else None
        backup = listing.find(where, settings.mongodb_database, name, until)
        with watched() as progress:
            keys = identities(settings)
            replace = yes_replace is not None
            asked = Restoring(settings, uri, where, backup, keys, ledger_file, replace, until, progress=progress)
            done = put_back(asked)
        if not scratch:
            proven = done.well and done.compared
            note = Record(Action.BACKUP_RESTORE, backup.name, done.as_of.moment, done.took, well=proven)
            if (not_noted := write_down(uri, settings, operator(), note)) is not None:
                done.notes.append(f"not in the audit log: {not_noted}")
    if as_json:
        Console().print_json(json.dumps(done.to_dict()))
    else:
        show(done)
    if not done.well:
        raise typer.Exit(1)


def watched() -> AbstractContextManager[Progress]:
    """Bars where somebody looks; nothing in the log of a timer."""
    console = Console(stderr=True)
    return stages(console) if console.is_terminal else nullcontext(lambda _what, _done, _of: None)


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
    console.print(f"{backup.name}, as of {done.as_of.moment:%Y-%m-%d %H:%M:%S} UTC")
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
