"""``crm db shard``: how the collections would be spread over shards."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from crm.cli.connection import Json
from crm.config import Settings
from crm.contracts import contract
from crm.ops.sharding import plan as sharding


def shard(
    plan: Annotated[bool, typer.Option("--plan", help="Show it; there is no other way.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The table of docs/scaling.md.")] = False,
    as_json: Json = False,
) -> None:
    """Show how collections would be spread over shards, and what that asks for. Changes nothing."""
    if not plan:
        raise typer.BadParameter("Say --plan: nothing is spread by this product.")
    planned = sharding.planned(contract())
    commands = sharding.commands(Settings.from_environment().mongodb_database)
    if markdown:
        sys.stdout.write(sharding.markdown(planned))
        return
    if as_json:
        sys.stdout.write(json.dumps({"collections": [asdict(one) for one in planned], "commands": commands}) + "\n")
        return
    lines = []
    for one in planned:
        lines.append(f"{one.collection}  {one.key or 'stays on one shard'}  ({one.why})")
        lines += [f"    unique  {line}" for line in one.kept]
        lines += [f"    CLAIM   {name}: {instead}" for name, instead in one.claimed]
    lines += ["", "What is to be claimed, this version does not claim yet: it cannot run spread.", "", *commands]
    Console(soft_wrap=True).print("\n".join(lines), highlight=False, markup=False)
