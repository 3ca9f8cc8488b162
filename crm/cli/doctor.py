"""``crm doctor``: is all that is stored right?"""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crm.cli.connection import DataDir, Json, MongodbUri, target
from crm.ops.doctor.checks import Visit, examine
from crm.ops.doctor.findings import Checked, Finding, Report
from crm.ops.progress import stages
from crm.ops.provision import administration


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended.")] = False,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Recompute what is stored and tell every difference. Works while the service runs; exits with 1 on a finding."""
    with target(mongodb_uri, data_dir) as (uri, settings), stages(Console(stderr=True)) as progress:

        async def work() -> Report:
            async with administration(uri, settings) as database:
                return Report(await examine(Visit(database, fix, progress)))

        report = asyncio.run(work())
    console = Console(soft_wrap=True)
    if as_json:
        console.print_json(json.dumps(report.to_dict()))
    else:
        _show(report, console)
    if not report.well:
        raise typer.Exit(1)


def _show(report: Report, console: Console) -> None:
    table = Table("check", "looked at", "result")
    for checked in report.checks:
        table.add_row(checked.name, f"{checked.looked_at:,} {checked.of}", _result(checked))
    console.print(table, soft_wrap=False)
    for checked in report.checks:
        for finding in checked.findings:
            _tell(finding, console)


def _result(checked: Checked) -> str:
    count, fixed = (sum(getattr(f, name) for f in checked.findings) for name in ("count", "fixed"))
    if not count:
        return f"[green]well[/green]{f', {checked.note}' if checked.note else ''}"
    mended = f"{fixed:,} mended" if fixed else ""
    return f"[green]{mended}[/green]" if fixed == count else f"[red]{count - fixed:,} found[/red] {mended}".rstrip()


def _tell(finding: Finding, console: Console) -> None:
    console.print(f"\n{finding.count:,}: {escape(finding.says)}", highlight=False)
    more = finding.count - len(finding.examples)
    shown = ", ".join(finding.examples) + (f" and {more:,} more" if more > 0 else "")
    console.print(f"  {escape(shown)}", highlight=False)
    console.print("  Mended." if not finding.open else f"  {escape(finding.do)}", highlight=False)
