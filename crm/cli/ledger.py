"""``crm ledger``: who was erased, apart from the backups; and erasing them again after a restore."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from crm.audit import service as audit
from crm.audit.service import Action
from crm.cli.connection import DataDir, MongodbUri, operator, target
from crm.ledger import service as ledger
from crm.ops.progress import stages
from crm.ops.provision import administration
from crm.ops.replaying import replay as replay_all

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, help="The erasure ledger: who must not come back.")
_console = Console(highlight=False)


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="A file that is not there yet.")],
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
) -> None:
    """Write the whole ledger to a file, to be kept apart from the backups of the database."""
    count = _run(mongodb_uri, data_dir, lambda: _told(Action.LEDGER_EXPORT, lambda: ledger.export(file)))
    _console.print(f"Wrote {count:,} entries to {file}.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Written by export, or by each erasure.")],
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
) -> None:
    """Add the entries of a file that are not in the ledger. Then run `crm ledger replay`."""
    count, new = _run(mongodb_uri, data_dir, lambda: _told(Action.LEDGER_IMPORT, lambda: ledger.take_in(file)))
    _console.print(f"Read {count:,} entries, of which {new:,} are new.")


@app.command("replay")
def replay(mongodb_uri: MongodbUri = None, data_dir: DataDir = None) -> None:
    """Look through the whole store for people who were erased, and erase them again. Run it after every restore."""
    with stages(Console(stderr=True)) as on_progress:
        found = _run(
            mongodb_uri, data_dir, lambda: replay_all(operator(), lambda what, done: on_progress(what, done, done))
        )
    _console.print("Nobody was there who had been erased." if not found else f"Erased what was left of {found:,}.")


async def _told(action: Action, work: Callable[[], Awaitable[T]]) -> T:
    """Do it once the audit log tells of it; the ledger itself knows nothing of that log."""
    async with audit.around(operator(), action):
        return await work()


def _run(mongodb_uri: str | None, data_dir: Path | None, work: Callable[[], Awaitable[T]]) -> T:
    async def within(uri: str) -> T:
        async with administration(uri, settings) as database, ledger.watching(database, settings):
            return await work()

    with target(mongodb_uri, data_dir) as (uri, settings):
        return asyncio.run(within(uri))
