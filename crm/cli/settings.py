"""``crm settings``: what there is to set, and what is set."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from crm.cli.connection import Json
from crm.config import Settings
from crm.ops import settings_table


def settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="The table of docs/configure.md.")] = False,
    as_json: Json = False,
) -> None:
    """Show every setting with its value here; of a secret only whether it is set."""
    if markdown:
        sys.stdout.write(settings_table.markdown())
        return
    rows = settings_table.in_use(Settings.from_environment())
    if as_json:
        sys.stdout.write(json.dumps({setting.variable: value for setting, value in rows}) + "\n")
        return
    table = Table("variable", "here", "default", "meaning")
    for setting, value in rows:
        table.add_row(setting.variable, value, setting.default, setting.meaning)
    Console().print(table, markup=False)
