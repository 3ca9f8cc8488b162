"""``crm audit``: read the log of who did what, and prove it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from crm.audit import service, verifying
from crm.audit.chain import Head
from crm.audit.schemas import AuditEntryOut
from crm.audit.service import Action, AuditFilter
from crm.audit.verifying import Verified
from crm.cli.connection import DataDir, Json, MongodbUri, operator, target
from crm.cli.sign_in import run_service, show_table
from crm.database import driver
from crm.database.paging import LARGEST_PAGE, Page, PageRequest
from crm.errors import InvalidInput
from crm.ops.progress import stages
from crm.ops.provision import administration

app = typer.Typer(no_args_is_help=True, help="Who did what to whose data.")
_NOTED = re.compile(r"([0-9]{1,16}):([0-9a-f]{64})", re.ASCII)


@app.command("list")
def list_entries(
    actor: Annotated[str | None, typer.Option(help="Id of a user or key; cli for the command line.")] = None,
    target_id: Annotated[str | None, typer.Option("--target", help="Id of whose data it was, or of what.")] = None,
    action: Annotated[Action | None, typer.Option(help="What was done.", show_choices=False)] = None,
    limit: Annotated[int, typer.Option(min=1, max=LARGEST_PAGE, help="The last so many.")] = 50,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show the latest acts, by one of actor, target and action. This is one, too."""
    wanted = AuditFilter(actor, target_id, action)
    page: Page[AuditEntryOut] = run_service(
        mongodb_uri, data_dir, lambda: service.page(operator(), wanted, PageRequest(limit))
    )
    if as_json:
        sys.stdout.write(json.dumps([entry.model_dump(mode="json") for entry in page.items]) + "\n")
        return
    rows = [
        (e.seq, e.at.isoformat(timespec="seconds"), f"{e.actor.name}\n{e.actor.id}", e.action, "\n".join(e.targets),
         "\n".join(f"{name}: {value}" for name, value in e.details.items()), e.address)
        for e in page.items
    ]  # fmt: skip
    show_table(("seq", "at", "who", "action", "targets", "details", "from"), rows, as_json)


@app.command("verify")
def verify(
    first: Annotated[int, typer.Option("--from", min=1, help="Number of the first entry to check.")] = 1,
    head: Annotated[
        str | None, typer.Option(metavar="SEQ:HASH", help="An end of the log noted before: it must be there still.")
    ] = None,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Find every entry that was altered, removed, put in or moved; exits with 1 on one. Works while the service runs.

    Note the end that it prints in another place: with --head, a later run finds out whether the end was cut off.
    """
    noted = _read(head)
    reached = Verified()
    with target(mongodb_uri, data_dir) as (uri, settings), stages(Console(stderr=True)) as progress:

        async def work() -> Verified:
            async with administration(uri, settings):
                about = await driver.collection("audit_log").estimated_count() - first + 1

                def on_progress(found: Verified) -> None:
                    nonlocal reached
                    reached = found
                    progress("entries", found.count, max(about, found.count))

                return await verifying.verify(first, noted, on_progress)

        try:
            found = asyncio.run(work())
        except KeyboardInterrupt:
            console = Console(stderr=True)
            console.print(f"Stopped; {_sum(reached)} Go on with --from {reached.head.seq + 1}.", highlight=False)
            raise typer.Exit(130) from None
    if as_json:
        sys.stdout.write(json.dumps(_told(found)) + "\n")
    else:
        _show(found)
    if found.wrong:
        raise typer.Exit(1)


def _read(head: str | None) -> Head | None:
    if head is None:
        return None
    match = _NOTED.fullmatch(head)
    if match is None:
        raise InvalidInput.at("--head", "The end of a log is its last number and hash: 42:9f86….")
    return Head(int(match[1]), match[2])


def _sum(found: Verified) -> str:
    wrong = f"{found.wrong:,} faults" if found.wrong else "nothing wrong"
    return f"{found.count:,} entries looked at, {wrong}, up to {found.head}."


def _told(found: Verified) -> dict[str, object]:
    return {
        "entries": found.count,
        "head": {"seq": found.head.seq, "hash": found.head.hash},
        "wrong": found.wrong,
        "faults": [{"entry": fault.entry, "says": fault.says} for fault in found.faults],
    }


def _show(found: Verified) -> None:
    console = Console(soft_wrap=True)
    for fault in found.faults:
        console.print(f"{escape(fault.entry)}: {fault.says}", highlight=False)
    console.print(_sum(found), highlight=False, style="red" if found.wrong else "green")
