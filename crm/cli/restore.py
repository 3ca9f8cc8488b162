"""``crm restore``: a backup is put back, and compared with what was saved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

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

#: The exit code where nothing was found wrong, and there was nothing to compare with.
NOT_COMPARED: Final = 3
NoLedger = Annotated[
    bool, typer.Option("--no-ledger", help="There is no erasure ledger, because nobody was ever erased.")
]


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
        typer.Option("--scratch", help="To a MongoDB that is empty again afterwards: only to see that it can be."),
    ] = False,
    yes_replace: Annotated[
        str | None, typer.Option("--yes-replace", metavar="NAME", help="Remove the database of that name first.")
    ] = None,
    ledger_file: Annotated[
        Path | None,
        typer.Option(
            "--ledger", exists=True, dir_okay=False, help="A ledger newer than the backups; else CRM_ERASURE_FILE."
        ),
    ] = None,
    no_ledger: NoLedger = False,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Restore to an empty server; then compare every count and hash, the rules and the roles, erase again, examine.

    Exit code 1: something is not as it was saved. 3: nothing is wrong, but the backup has no counts to compare with.
    """
    if ledger_file is not None and no_ledger:
        raise typer.BadParameter("--ledger and --no-ledger contradict each other")
    with _server(mongodb_uri, data_dir, scratch) as (uri, settings):
        if yes_replace is not None and yes_replace != settings.mongodb_database:
            raise BackupFailed(f"The database is {settings.mongodb_database}, not {yes_replace}: nothing was done.")
        where = place(settings, at)
        until = OplogTime(int(to.timestamp()), 0) if to is not None else None
        backup = listing.find(where, settings.mongodb_database, name, until)
        with watched() as progress:
            asked = Restoring(
                settings=settings,
                uri=uri,
                target=where,
                backup=backup,
                identities=identities(settings),
                ledger_file=ledger_file or ledger_of(Settings.from_environment()),
                no_ledger=no_ledger,
                replace=yes_replace is not None,
                until=until,
                progress=progress,
            )
            done = put_back(asked)
        if not scratch:
            note = Record(Action.BACKUP_RESTORE, backup.name, done.as_of.moment, done.took, well=done.proven)
            if (not_noted := write_down(uri, settings, operator(), note)) is not None:
                done.notes.append(f"not in the audit log: {not_noted}")
    if as_json:
        Console().print_json(json.dumps(done.to_dict()))
    else:
        show(done)
    leave(done)


def ledger_of(settings: Settings) -> Path | None:
    """The file of the erasure ledger, where there is one: before the first erasure there is none."""
    path = settings.erasure_file
    return path if path is not None and path.exists() else None


def leave(done: Restored) -> None:
    """End with the exit code that says what came of it."""
    if not done.proven:
        raise typer.Exit(NOT_COMPARED if done.well else 1)


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
    if done.proven:
        console.print("[green]Proven.[/green]")
    elif done.well:
        console.print("[yellow]Restored, not compared.[/yellow]")
    else:
        console.print("[red]This is not what was saved.[/red]")
