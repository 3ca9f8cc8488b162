"""``crm backup``: made with mongodump, checked, thinned out."""

from __future__ import annotations

import json
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.table import Table

from crm.audit.actions import Action
from crm.cli.connection import DataDir, Json, MongodbUri, operator, target
from crm.clock import now
from crm.config import Settings
from crm.errors import NotConfigured
from crm.log import configure
from crm.ops.backup import encrypting, listing, verifying
from crm.ops.backup.creating import Making
from crm.ops.backup.creating import create as make
from crm.ops.backup.keeping import Keep
from crm.ops.backup.manifest import Manifest
from crm.ops.backup.recording import Record, write_down
from crm.ops.backup.targets import Target, target_of
from crm.ops.progress import bytes_done

log = structlog.get_logger("crm.backup")

app = typer.Typer(no_args_is_help=True, help="Backups with mongodump, proven by restoring them.")


@app.callback()
def _log_to_stderr() -> None:
    configure(human=sys.stderr.isatty())


Place = Annotated[
    str | None,
    typer.Option("--target", help="Directory or s3://bucket/prefix; else CRM_BACKUP_TARGET.", show_default=False),
]
_AGE = re.compile(r"^(\d+)([mhd])$")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def place(settings: Settings, given: str | None) -> Target:
    """The target that an option or the settings name.

    Raises:
        NotConfigured: None does.
    """
    where = given or settings.backup_target
    if where is None:
        raise NotConfigured("Say where backups lie: --target, or CRM_BACKUP_TARGET.")
    return target_of(where)


def reading() -> Settings:
    """Settings for commands that need no database."""
    return Settings.from_environment()


@app.command("create")
def create(
    to: Place = None,
    unencrypted: Annotated[bool, typer.Option("--unencrypted", help="Anybody who has the file can read it.")] = False,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Dump the database as it is at one moment, as the MongoDB user backup, encrypted for CRM_BACKUP_RECIPIENTS."""
    with target(mongodb_uri, data_dir) as (uri, settings):
        if not settings.backup_recipients and not unencrypted:
            raise NotConfigured(
                "Set CRM_BACKUP_RECIPIENTS to a public key (`crm backup key FILE` makes one), or add --unencrypted."
            )
        recipients = [] if unencrypted else encrypting.recipients_of(settings.backup_recipients)
        with bytes_done(Console(stderr=True), "dumping") as progress:
            made = make(Making(settings, uri, place(settings, to), recipients, progress))
        done = Record(Action.BACKUP_CREATE, made.name, made.oplog_last.moment, made.seconds)
        not_noted = write_down(uri, settings, operator(), done)
        if not_noted is not None:
            log.info("neither in the audit log nor in /metrics", reason=not_noted)
    if as_json:
        Console().print_json(made.model_dump_json())
    else:
        Console(soft_wrap=True).print(_line(made), highlight=False)


@app.command("list")
def list_(
    at: Place = None,
    max_age: Annotated[
        str | None, typer.Option("--max-age", help="Exit with 1 when the newest is older: 26h, 90m, 2d.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the backups that there are, oldest first."""
    settings = reading()
    found = listing.of_database(place(settings, at), settings.mongodb_database)
    if as_json:
        Console().print_json(json.dumps({"backups": [one.model_dump(mode="json") for one in found]}))
    else:
        table = Table("backup", "as of (UTC)", "documents", "bytes", "seconds", "encrypted", "ledger")
        for one in found:
            documents = "not counted" if one.documents is None else f"{one.documents:,}"
            row = [one.name, f"{one.oplog_last.moment:%Y-%m-%d %H:%M:%S}", documents, f"{one.archive.bytes:,}"]
            table.add_row(*row, f"{one.seconds:g}", _yes(one.archive.encrypted), _yes(one.ledger is not None))
        Console().print(table)
    if max_age is not None:
        _refuse_older(found, _age(max_age))


def _refuse_older(found: list[Manifest], limit: timedelta) -> None:
    if not found:
        Console(stderr=True).print("crm: there is no backup", highlight=False)
        raise typer.Exit(1)
    age = now() - found[-1].oplog_last.moment
    if age > limit:
        hours = age.total_seconds() / 3600
        Console(stderr=True).print(f"crm: the newest backup is {hours:.1f} hours old", highlight=False)
        raise typer.Exit(1)


@app.command("verify")
def verify(
    name: Annotated[str | None, typer.Argument(help="Of the backup; else the latest.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that there are.")] = False,
    at: Place = None,
) -> None:
    """Read backups from end to end and compare them with their manifests. `crm backup drill` restores one, too."""
    settings = reading()
    where, keys = place(settings, at), identities(settings)
    database = settings.mongodb_database
    wanted = listing.of_database(where, database) if every else [listing.find(where, database, name)]
    console = Console(soft_wrap=True)
    for one in wanted:
        with bytes_done(Console(stderr=True), one.name) as progress:
            told = verifying.verify(where, one, keys, progress)
        read = f"{told.documents:,} documents read" if told else "not opened: no key (CRM_BACKUP_IDENTITY)"
        console.print(f"{one.name}: the files are as they were written, {read}", highlight=False)


@app.command("prune")
def prune(
    at: Place = None,
    daily: Annotated[int, typer.Option(min=0, help="Days of which the newest is kept.")] = 7,
    weekly: Annotated[int, typer.Option(min=0, help="Weeks of which the newest is kept.")] = 5,
    monthly: Annotated[int, typer.Option(min=0, help="Months of which the newest is kept.")] = 12,
    slice_days: Annotated[int, typer.Option("--slice-days", min=0, help="Days of slices of the oplog.")] = 7,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove backups that need not be kept. The newest stays, and the newest with a copy of the erasure ledger."""
    settings = reading()
    keep = Keep(daily, weekly, monthly)
    gone = listing.prune(
        place(settings, at), settings.mongodb_database, keep, now(), slice_days=slice_days, do=not dry_run
    )
    console, verb = Console(soft_wrap=True), "would go" if dry_run else "removed"
    for name in (*gone.backups, *gone.leftovers):
        console.print(f"{verb} {name}", highlight=False)
    if gone.slices:
        console.print(f"{verb} {gone.slices:,} slices of the oplog", highlight=False)
    if not (gone.backups or gone.leftovers or gone.slices):
        console.print("Nothing to remove.", highlight=False)


@app.command("key")
def key(file: Annotated[Path, typer.Argument(help="A file that is not there yet, for the secret key.")]) -> None:
    """Make a pair of keys: the secret one to a file that is kept elsewhere, the public one is printed."""
    public = encrypting.make_identity(file)
    Console(soft_wrap=True).print(f"CRM_BACKUP_RECIPIENTS={public}", highlight=False)
    Console(stderr=True, soft_wrap=True).print(
        f"Keep {file} away from the machine that makes backups, and twice: without it no backup can be read.",
        highlight=False,
    )


def identities(settings: Settings) -> list[object]:
    """The secret keys that open backups; none where none is set."""
    return encrypting.identities_of(settings.backup_identity) if settings.backup_identity else []


def _line(made: Manifest) -> str:
    counted = "documents not counted" if made.documents is None else f"{made.documents:,} documents"
    return f"{made.name}: {counted}, {made.archive.bytes:,} bytes, as of {made.oplog_last.moment:%H:%M:%S} UTC"


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _age(text: str) -> timedelta:
    found = _AGE.match(text)
    if found is None:
        raise typer.BadParameter("an age is 90m, 26h or 2d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
