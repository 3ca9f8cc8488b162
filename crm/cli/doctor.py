"""``crm doctor``: is all that is stored right, and is the database run as it should be?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crm.cli.connection import DataDir, Json, MongodbUri, target
from crm.ops.doctor.findings import Checked, Finding, Report, Severity
from crm.ops.doctor.sections import SECTIONS, examine
from crm.ops.doctor.visit import Visit
from crm.ops.progress import stages
from crm.ops.provision import administration

_COLOURS: Final = {Severity.RED: "red", Severity.AMBER: "yellow", Severity.NOTE: "cyan"}


def _sections(texts: list[str] | None) -> tuple[str, ...]:
    named = [name.strip() for text in texts or () for name in text.split(",")]
    if unknown := [name for name in named if name not in SECTIONS]:
        raise typer.BadParameter(f"{', '.join(unknown)}: there is {', '.join(SECTIONS)}.", param_hint="--only")
    return tuple(named) or tuple(SECTIONS)


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help=f"Sections, with commas or repeated: {', '.join(SECTIONS)}.", show_default=False),
    ] = None,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Recompute what is stored, look at how MongoDB is run, and tell what is wrong and what to do.

    Works while the service runs. Exits with 1 on anything red.
    """
    sections = _sections(only)
    with target(mongodb_uri, data_dir) as (uri, settings), stages(Console(stderr=True)) as progress:

        async def work() -> Report:
            async with administration(uri, settings) as database:
                return await examine(Visit(database, fix, progress), sections)

        report = asyncio.run(work())
    console = Console(soft_wrap=True)
    if as_json:
        console.print_json(json.dumps(report.to_dict()))
    else:
        _show(report, console)
    if not report.well:
        raise typer.Exit(1)


def _show(report: Report, console: Console) -> None:
    for section, checks in groupby(report.checks, lambda checked: checked.section):
        _show_section(section, list(checks), console)
    counted = ", ".join(f"{count} {severity}" for severity in Severity if (count := report.count(severity)))
    console.print(f"{counted or 'All is well'}.", highlight=False)


def _show_section(section: str, checks: Sequence[Checked], console: Console) -> None:
    table = Table("check", "looked at", "result", title=section, title_justify="left")
    for checked in checks:
        table.add_row(checked.name, escape(checked.state or f"{checked.looked_at:,} {checked.of}"), _result(checked))
    console.print(table, soft_wrap=False)
    for checked in checks:
        if checked.figures:
            _show_figures(checked, console)
        for finding in checked.findings:
            _tell(finding, console)
    console.print()


def _show_figures(checked: Checked, console: Console) -> None:
    columns = list(dict.fromkeys(name for row in checked.figures for name in row))
    table = Table(*columns)
    for row in checked.figures:
        shown = (row.get(name, "") for name in columns)
        table.add_row(*(escape(value) if isinstance(value, str) else f"{value:,}" for value in shown))
    console.print(table, soft_wrap=False)


def _result(checked: Checked) -> str:
    if not checked.findings:
        return f"[green]well[/green]{f', {checked.note}' if checked.note else ''}"
    parts = []
    for severity, colour in _COLOURS.items():
        found = sum(f.count - f.fixed for f in checked.findings if f.severity is severity)
        parts += [f"[{colour}]{found:,} {severity}[/{colour}]"] if found else []
    fixed = sum(f.fixed for f in checked.findings)
    parts += [f"[green]{fixed:,} mended[/green]"] if fixed else []
    return ", ".join(parts)


def _tell(finding: Finding, console: Console) -> None:
    counted = f"{finding.count:,}: " if finding.examples or finding.count > 1 else ""
    severity = "mended" if not finding.open else finding.severity.value
    colour = "green" if not finding.open else _COLOURS[finding.severity]
    console.print(f"\n[{colour}]{severity}[/{colour}]  {counted}{escape(finding.says)}", highlight=False)
    if finding.examples:
        more = finding.count - len(finding.examples)
        shown = ", ".join(finding.examples) + (f" and {more:,} more" if more > 0 else "")
        console.print(f"  {escape(shown)}", highlight=False)
    if not finding.open:
        console.print("  Mended.", highlight=False)
    elif finding.do:
        console.print(f"  {escape(finding.do)}", highlight=False)
