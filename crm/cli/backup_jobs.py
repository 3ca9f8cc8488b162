"""The commands of ``crm backup`` that run by themselves: copying the oplog, the drill, the units that start them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console

from crm.audit.actions import Action
from crm.cli.backups import Place, identities, place
from crm.cli.connection import DataDir, Json, MongodbUri, operator, settings_with, target
from crm.cli.restore import NoLedger, leave, ledger_of, show, watched
from crm.clock import now
from crm.config import Settings
from crm.errors import BackupFailed, NotConfigured
from crm.ops.backup import encrypting, listing, tailing
from crm.ops.backup.recording import Record, note_slice, write_down
from crm.ops.backup.restoring import Restoring, restore
from crm.ops.backup.scratch import scratch_server
from crm.ops.backup.slices import Slice
from crm.ops.backup.tailing import Tailing
from crm.ops.backup.units import USUAL, Places, units

log = structlog.get_logger("crm.backup")


def tail(
    to: Place = None,
    every: Annotated[float, typer.Option("--every", min=1, help="Seconds between two slices.")] = 60,
    once: Annotated[bool, typer.Option("--once", help="Take one slice, and end.")] = False,
    unencrypted: Annotated[bool, typer.Option("--unencrypted", help="Anybody can read the files.")] = False,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
) -> None:
    """Copy what is written, minute by minute, so that `crm restore --to TIME` finds it. Runs until it is stopped."""
    noted = _note_slices()
    with target(mongodb_uri, data_dir) as (_, settings):
        where = place(settings, to)
        if not settings.backup_recipients and not unencrypted:
            raise NotConfigured("Set CRM_BACKUP_RECIPIENTS to a public key, or add --unencrypted.")
        recipients = [] if unencrypted else encrypting.recipients_of(settings.backup_recipients)
        if once:
            if (made := tailing.take(settings, where, recipients)) is not None:
                noted(made, settings)
            return

        def fresh() -> Settings:
            return settings_with(mongodb_uri) if data_dir is None else settings

        tailing.follow(Tailing(fresh, where, recipients, every, noted))


def _note_slices() -> Callable[[Slice, Settings], None]:
    """Says what was taken, and notes it; why it cannot be noted is said once, and not every minute."""
    said = ""

    def note(made: Slice, settings: Settings) -> None:
        nonlocal said
        log.info("slice", name=made.name, entries=made.entries, bytes=made.stored.bytes)
        not_noted = note_slice(settings.root_uri(), settings, made) or ""
        if not_noted and not_noted != said:
            log.info("not in /metrics", reason=not_noted)
        said = not_noted

    return note


def drill(
    name: Annotated[str | None, typer.Argument(help="Of the backup; else the latest.")] = None,
    at: Place = None,
    no_ledger: NoLedger = False,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Restore the latest backup to a MongoDB of its own, run every check, and say how long that took.

    The embedded one, or the one of CRM_BACKUP_SCRATCH_URI. Exit codes are those of `crm restore`.
    """
    with target(mongodb_uri, data_dir) as (uri, settings), scratch_server(settings) as (there, made):
        where = place(settings, at)
        backup = listing.find(where, settings.mongodb_database, name)
        with watched() as progress:
            asked = Restoring(
                settings=made,
                uri=there,
                target=where,
                backup=backup,
                identities=identities(settings),
                ledger_file=ledger_of(settings),
                no_ledger=no_ledger,
                progress=progress,
            )
            done = restore(asked)
        age = (now() - done.as_of.moment).total_seconds()
        note = Record(Action.BACKUP_RESTORE, backup.name, done.as_of.moment, done.took, well=done.proven, drill=True)
        not_noted = write_down(uri, settings, operator(), note)
    if as_json:
        Console().print_json(
            json.dumps({**done.to_dict(), "data_age_seconds": round(age), "noted": done.proven and not_noted is None})
        )
    else:
        show(done)
        console = Console(soft_wrap=True, highlight=False)
        console.print(f"  time to restore (RTO): {done.took:g} s; age of the data (RPO): {age / 3600:.1f} hours")
    if not_noted is not None:
        Console(stderr=True, soft_wrap=True, highlight=False).print(
            f"crm: neither in the audit log nor in /metrics: {not_noted}"
        )
    leave(done)


def schedule(
    folder: Annotated[Path, typer.Argument(help="Where to write the units: /etc/systemd/system.")],
    user: Annotated[str, typer.Option(help="Who runs them.")] = USUAL.user,
    environment: Annotated[str, typer.Option(help="File of settings, NAME=value a line.")] = USUAL.environment,
    state: Annotated[str, typer.Option(help="Folder that they may write to.")] = USUAL.state,
) -> None:
    """Write units and timers for systemd: a backup every night, a drill every week, slices every minute."""
    program = Path(sys.argv[0]).resolve()
    dump = shutil.which("mongodump")
    places = Places(
        program=str(program) if program.name == "crm" else USUAL.program,
        user=user,
        environment=environment,
        tools=str(Path(dump).parent) if dump else USUAL.tools,
        state=state,
    )
    made = units(places)
    if there := sorted(name for name in made if (folder / name).exists()):
        raise BackupFailed(f"{', '.join(there)} is in {folder} already; remove it first.")
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"Wrote {', '.join(made)}. Then:")
    console.print("  systemctl daemon-reload")
    console.print("  systemctl enable --now crm-backup.timer crm-backup-tail.service")
    console.print("and on the machine that has the secret key:")
    console.print("  systemctl enable --now crm-backup-drill.timer")
