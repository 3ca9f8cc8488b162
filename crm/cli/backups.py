"""``crm backup``: made with mongodump, checked, thinned out."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
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
from crm.ops.backup import encrypting, files, listing, slices, verifying
from crm.ops.backup.creating import Making
from crm.ops.backup.creating import create as make
from crm.ops.backup.keeping import Keep
from crm.ops.backup.manifest import Manifest
from crm.ops.backup.recording import Record, write_down
from crm.ops.backup.slices import Slice
from crm.ops.backup.spans import Reach, following, reaches
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
_UNOPENED = "not opened: no key (CRM_BACKUP_IDENTITY)"


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
    max_slice_age: Annotated[
        str | None, typer.Option("--max-slice-age", help="Exit with 1 when slices of the oplog end earlier: 15m.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the backups that there are, oldest first, and the seconds between them that can be restored."""
    settings = reading()
    where, database = place(settings, at), settings.mongodb_database
    found = listing.of_database(where, database)
    taken = slices.spans_among(where.names(), database)
    reached = reaches((one.oplog_last for one in found), taken)
    if as_json:
        backups = [one.model_dump(mode="json") for one in found]
        any_second = [{"first": one.first.isoformat(), "last": one.last.isoformat()} for one in reached]
        Console().print_json(json.dumps({"backups": backups, "slices": len(taken), "any_second": any_second}))
    else:
        _show(found)
        _show_reached(reached, len(taken))
    if max_age is not None:
        _refuse_older("backup", found[-1].oplog_last.moment if found else None, _age(max_age))
    if max_slice_age is not None:
        _refuse_older("slice", taken[-1].last.moment if taken else None, _age(max_slice_age))


def _show(found: Sequence[Manifest]) -> None:
    table = Table("backup", "as of (UTC)", "documents", "bytes", "seconds", "encrypted", "ledger")
    for one in found:
        documents = "not counted" if one.documents is None else f"{one.documents:,}"
        row = [one.name, _second(one.oplog_last.moment), documents, f"{one.archive.bytes:,}"]
        table.add_row(*row, f"{one.seconds:g}", _yes(one.archive.encrypted), _yes(one.ledger is not None))
    Console().print(table)


def _show_reached(reached: Sequence[Reach], many: int) -> None:
    if not many:
        return
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{many:,} slices of the oplog. What can be restored with `crm restore --to`:")
    for before, one in zip([None, *reached], reached, strict=False):
        if before is not None:
            console.print(f"  [yellow]no second between {_second(before.last)} and {_second(one.first)}[/yellow]")
        console.print(f"  any second from {_second(one.first)} to {_second(one.last)} UTC")


def _second(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _refuse_older(what: str, newest: datetime | None, limit: timedelta) -> None:
    says = f"there is no {what}"
    if newest is not None:
        age = now() - newest
        if age <= limit:
            return
        says = f"the newest {what} is {age.total_seconds() / 3600:.1f} hours old"
    Console(stderr=True, highlight=False).print(f"crm: {says}")
    raise typer.Exit(1)


@app.command("verify")
def verify(
    name: Annotated[str | None, typer.Argument(help="Of the backup; else the latest.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that there are.")] = False,
    at: Place = None,
) -> None:
    """Read backups from end to end and compare them with their manifests; slices of the oplog behind them, too.

    `crm backup drill` restores one.
    """
    settings = reading()
    where, keys = place(settings, at), identities(settings)
    database = settings.mongodb_database
    wanted = listing.of_database(where, database) if every else [listing.find(where, database, name)]
    console = Console(soft_wrap=True, highlight=False)
    for one in wanted:
        with bytes_done(Console(stderr=True), one.name) as progress:
            told = verifying.verify(where, one, keys, progress)
        read = f"{told.documents:,} documents read" if told else _UNOPENED
        console.print(f"{one.name}: the files are as they were written, {read}")
    taken = slices.spans_among(where.names(), database)
    behind = taken if every else following(wanted[0].oplog_last, taken)
    opened = [_verified(where, slices.read(where, database, span), keys) for span in behind]
    if behind:
        read = f"{sum(filter(None, opened)):,} entries read" if None not in opened else _UNOPENED
        upto = max(span.last.moment for span in behind)
        console.print(f"{len(behind):,} slices of the oplog, up to {_second(upto)} UTC: as they were written, {read}")


def _verified(where: Target, one: Slice, keys: Sequence[object]) -> int | None:
    """How many entries were read; None where there is no key for them."""
    if one.stored.encrypted and not keys:
        files.check(where, one.stored)
        return None
    verifying.read_slice(where, one, keys)
    return one.entries


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
