"""The ``crm`` command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from crm import __version__
from crm.cli import (
    audit,
    backups,
    bench,
    connections,
    database,
    doctor,
    exports,
    imports,
    ledger,
    restore,
    run,
    sign_in,
    staff,
)
from crm.errors import CrmError

app = typer.Typer(
    no_args_is_help=True,
    help="A CRM for e-commerce on MongoDB.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(database.app, name="db")
app.add_typer(sign_in.users, name="user")
app.add_typer(sign_in.keys, name="key")
app.add_typer(staff.customer_app, name="customer")
app.add_typer(staff.order_app, name="order")
app.add_typer(connections.connections, name="connection")
app.add_typer(connections.inbox, name="inbox")
app.add_typer(imports.app, name="import")
app.add_typer(ledger.app, name="ledger")
app.add_typer(bench.app, name="bench")
app.add_typer(audit.app, name="audit")
app.add_typer(backups.app, name="backup")
app.command("export")(exports.export)
app.command("doctor")(doctor.doctor)
app.command("demo")(run.demo)
app.command("restore")(restore.restore)
app.command("serve")(run.serve)
app.command("secrets")(run.secrets_)


def _version(wanted: bool) -> None:
    if wanted:
        Console().print(f"crm {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[  # noqa: ARG001  handled by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    context.obj = {"debug": debug}


def main() -> None:
    """Run the command line: exit code 0 only on success, an error is one line on stderr."""
    try:
        app()  # exits by itself: 0, 2 where the command was spelled wrongly, 130 when interrupted
    except (CrmError, OSError) as exc:
        if "--debug" in sys.argv[1:]:
            raise
        Console(stderr=True, soft_wrap=True).print(f"crm: {_line(exc)}", markup=False, highlight=False)
        sys.exit(1)
    except Exception as exc:
        if "--debug" in sys.argv[1:]:
            raise
        # Its text may be anything, a person's data included.
        Console(stderr=True, soft_wrap=True).print(
            f"crm: a fault of this program ({type(exc).__name__}); run it with --debug to see where", markup=False
        )
        sys.exit(1)


def _line(exc: CrmError | OSError) -> str:
    if isinstance(exc, OSError):
        return f"{exc.strerror or exc}: {exc.filename}" if exc.filename else str(exc)
    places = "; ".join(f"{e.pointer} {e.detail}".strip() for e in exc.errors)
    return f"{exc.detail} {places}".strip()
