"""``crm user`` and ``crm key``: who may sign in."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from crm.auth import service
from crm.auth.schemas import LONGEST_PASSWORD, SHORTEST_PASSWORD, UserCreate
from crm.cli.connection import DataDir, Json, MongodbUri, target
from crm.errors import FieldError, InvalidInput
from crm.ops.provision import administration

T = TypeVar("T")


class Staff(StrEnum):
    """Roles of staff."""

    ADMIN = "admin"
    SALES = "sales"
    ANALYST = "analyst"


class Kind(StrEnum):
    """Kinds of key."""

    INGEST = "ingest"
    TRACKING = "tracking"


users = typer.Typer(no_args_is_help=True, help="Staff who sign in.")
keys = typer.Typer(no_args_is_help=True, help="API keys for systems.")


@users.command("add")
def add_user(
    email: Annotated[str, typer.Argument(help="What they sign in with.")],
    role: Annotated[Staff, typer.Option(help="What they may do.")],
    name: Annotated[
        str | None, typer.Option(help="What colleagues see; the e-mail's first part when left out.")
    ] = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
) -> None:
    """Add a member of staff. The password is asked for, never an argument: those are seen by every process."""
    password = _password(password_stdin)
    try:
        new = UserCreate.model_validate(
            {"email": email, "name": name or email.split("@")[0] or email, "role": role.value, "password": password}
        )
    except ValidationError as exc:
        errors = tuple(FieldError("/".join(map(str, e["loc"])), e["msg"]) for e in exc.errors())
        raise InvalidInput("This user cannot be added:", errors=errors) from None
    user_id = run_service(mongodb_uri, data_dir, lambda: service.add_user(new))
    Console().print(f"Added {user_id}.", highlight=False)


@users.command("password")
def set_password(
    email: str,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
) -> None:
    """Give a member of staff a new password: ends their sessions, and lets them in again if they were disabled."""
    password = _password(password_stdin)
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidInput.at("password", f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.")
    run_service(mongodb_uri, data_dir, lambda: service.set_password(email, password))
    Console().print("Set.", highlight=False)


@users.command("disable")
def disable_user(email: str, mongodb_uri: MongodbUri = None, data_dir: DataDir = None) -> None:
    """Refuse a member of staff from now on."""
    run_service(mongodb_uri, data_dir, lambda: service.disable_user(email))
    Console().print("Disabled.", highlight=False)


@users.command("list")
def list_users(mongodb_uri: MongodbUri = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show all staff."""
    rows = run_service(mongodb_uri, data_dir, service.list_users)
    show_table(("email", "name", "role", "disabled_at"), rows, as_json)


@keys.command("add")
def add_key(
    kind: Annotated[Kind, typer.Option(help="ingest (a shop's backend) or tracking (public, in browsers).")],
    name: Annotated[str, typer.Option(help="What it is for.")],
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make an API key and show it, this once."""
    made = run_service(mongodb_uri, data_dir, lambda: service.add_key(kind.value, name))
    if as_json:
        sys.stdout.write(made.model_dump_json() + "\n")
    else:
        Console(soft_wrap=True).print(
            f"{made.key}\nKeep it: it is not shown again. Its id is {made.id}.", highlight=False
        )


@keys.command("list")
def list_keys(mongodb_uri: MongodbUri = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show all keys, as far as they may be shown."""
    rows = run_service(mongodb_uri, data_dir, service.list_keys)
    show_table(("id", "kind", "name", "hint", "revoked_at"), rows, as_json)


@keys.command("revoke")
def revoke_key(key_id: str, mongodb_uri: MongodbUri = None, data_dir: DataDir = None) -> None:
    """Refuse a key from now on (a running service notices within a second)."""
    run_service(mongodb_uri, data_dir, lambda: service.revoke_key(key_id))
    Console().print("Revoked.", highlight=False)


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    asked: str = typer.prompt("Password (12 characters or more)", hide_input=True, confirmation_prompt=True)
    return asked


def run_service(mongodb_uri: str | None, data_dir: Path | None, work: Callable[[], Awaitable[T]]) -> T:
    """Run services with the credentials of a URI, a data directory or the settings."""
    with target(mongodb_uri, data_dir) as (uri, settings):

        async def connected() -> T:
            async with administration(uri, settings):
                return await work()

        return asyncio.run(connected())


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], as_json: bool) -> None:
    """Print rows for a person or for a program."""
    if as_json:
        named = [dict(zip(columns, row, strict=True)) for row in rows]
        Console().print_json(json.dumps(named, default=datetime.isoformat))
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console().print(table)
