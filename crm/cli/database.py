"""``crm db``: what the database enforces, compared with what is declared."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from crm.changes import service as changes
from crm.cli.connection import DataDir, Json, MongodbUri, operator, target
from crm.contracts import contract
from crm.database.steps import Change, Step
from crm.ops import diagram, provision
from crm.ops.progress import stages

app = typer.Typer(no_args_is_help=True, help="Collections, validators, indexes, roles: plan, apply, check.")
_COLOURS = {
    Change.ADD: "green",
    Change.ALTER: "yellow",
    Change.REMOVE: "red",
    Change.FOREIGN: "cyan",
    Change.WAIT: "dim",
}


@app.command()
def plan(mongodb_uri: MongodbUri = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show what apply would do. Changes nothing."""
    steps = _plan(mongodb_uri, data_dir)
    _show(steps, as_json, "Nothing to do: the database is as declared.")


@app.command("apply")
def apply_(
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for another apply to end.")] = 0,
    side_by_side: Annotated[
        bool,
        typer.Option("--side-by-side", help="The version before goes on running: take nothing away that it needs."),
    ] = False,
    share: Annotated[
        float, typer.Option(min=0.01, max=1, help="Part of the time that changes of the data work; else they rest.")
    ] = changes.SHARE,
) -> None:
    """Make the database as declared. Can be run again at any time."""
    with target(mongodb_uri, data_dir) as (uri, settings), stages(Console(stderr=True)) as progress:
        given = provision.Given(operator().name, wait, side_by_side, share, progress)
        steps = asyncio.run(provision.provision(uri, settings, given=given))
    _show(steps, as_json, "Nothing to do: the database is as declared.")
    left = [step for step in steps if step.run is None and step.differs and step.change is not Change.FOREIGN]
    if left:
        Console(stderr=True).print(f"crm: {len(left)} differences are for you to mend.", highlight=False)
        raise typer.Exit(1)


@app.command()
def check(mongodb_uri: MongodbUri = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Exit with 1 if the database differs from what is declared."""
    steps = _plan(mongodb_uri, data_dir)
    _show(steps, as_json, "The database is as declared.")
    if any(step.differs for step in steps):
        raise typer.Exit(1)


@app.command("changes")
def changes_(mongodb_uri: MongodbUri = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the numbered changes of the data and how far each has come. Apply runs those that are open."""
    with target(mongodb_uri, data_dir) as (uri, settings):
        found = asyncio.run(provision.data_changes(uri, settings))
    console = Console(soft_wrap=True)
    if as_json:
        rows = [{"change": one.change.id, "state": one.state, "says": str(one)} for one in found]
        console.print_json(json.dumps({"changes": rows}))
        return
    for one in found:
        console.print(f"{one.change.id}  {one.state}  [dim]{escape(str(one))}[/dim]", highlight=False)


@app.command("diagram")
def diagram_() -> None:
    """Print a Mermaid ER diagram of what is stored."""
    sys.stdout.write(diagram.mermaid(contract()) + "\n")


def _plan(mongodb_uri: str | None, data_dir: Path | None) -> list[Step]:
    with target(mongodb_uri, data_dir) as (uri, settings):
        return asyncio.run(provision.plan(uri, settings))


def _show(steps: list[Step], as_json: bool, nothing: str) -> None:
    console = Console(soft_wrap=True)
    if as_json:
        rows = [{"change": s.change.name.lower(), "what": s.what, "why": s.why} for s in steps]
        console.print_json(json.dumps({"steps": rows}))
        return
    for step in steps:
        colour = _COLOURS[step.change]
        why = f"  [dim]{escape(step.why)}[/dim]" if step.why else ""
        console.print(f"[{colour}]{step.change.value} {escape(step.what)}[/{colour}]{why}", highlight=False)
    if not any(step.differs for step in steps):
        console.print(nothing, highlight=False)
