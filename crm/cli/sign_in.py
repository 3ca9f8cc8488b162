"""``crm user`` and ``crm key``: who may sign in."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table

from crm.auth import service
from crm.auth.schemas import LONGEST_PASSWORD, SHORTEST_PASSWORD, KeyChange, KeyOut, KeyTerms, UserCreate, UserOut
from crm.cli.connection import DataDir, Json, MongodbUri, operator, target
from crm.errors import FieldError, InvalidInput
from crm.identity import PII_READ, Permission
from crm.ops.provision import administration
from crm.web.wording import sentence

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class Staff(StrEnum):
    """Roles of staff."""

    ADMIN = "admin"
    SALES = "sales"
    ANALYST = "analyst"


class Kind(StrEnum):
    """Kinds of key."""

    INGEST = "ingest"
    TRACKING = "tracking"


class Event(StrEnum):
    """What tracking clients send."""

    PAGE = "page"
    SCREEN = "screen"
    TRACK = "track"
    IDENTIFY = "identify"
    ALIAS = "alias"
    GROUP = "group"


users = typer.Typer(no_args_is_help=True, help="Staff who sign in.")
keys = typer.Typer(no_args_is_help=True, help="API keys for systems.")


@users.command("add")
def add_user(
    email: Annotated[str, typer.Argument(help="What they sign in with.")],
    role: Annotated[Staff, typer.Option(help="What they may do.")],
    name: Annotated[
        str | None, typer.Option(help="What colleagues see; the e-mail's first part when left out.")
    ] = None,
    no_pii: Annotated[
        bool, typer.Option("--no-pii", help="A salesperson who sees e-mail addresses and telephones hidden.")
    ] = False,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
) -> None:
    """Add a member of staff. The password is asked for, never an argument: those are seen by every process."""
    password = _password(password_stdin)
    given: dict[str, Any] = {
        "email": email,
        "name": name or email.split("@")[0] or email,
        "role": role.value,
        "permissions": [] if no_pii else None,
        "password": password,
    }
    new = _read(UserCreate, given, "This user cannot be added:")
    user_id = run_service(mongodb_uri, data_dir, lambda: service.add_user(operator(), new))
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
    run_service(mongodb_uri, data_dir, lambda: service.set_password(operator(), email, password))
    Console().print("Set.", highlight=False)


@users.command("permissions")
def set_permissions(
    email: str,
    pii: Annotated[
        bool, typer.Option("--pii/--no-pii", help="Whether e-mail addresses and telephones are seen as they are.")
    ],
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
) -> None:
    """Say what a salesperson may see; ends their sessions. Of others the role says all."""
    given: list[Permission] = [PII_READ] if pii else []
    run_service(mongodb_uri, data_dir, lambda: service.set_permissions(operator(), email, given))
    Console().print("Set.", highlight=False)


@users.command("role")
def set_role(
    email: str,
    role: Annotated[Staff, typer.Argument(help="What they may do from now on.")],
    no_pii: Annotated[
        bool, typer.Option("--no-pii", help="A salesperson who sees e-mail addresses and telephones hidden.")
    ] = False,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
) -> None:
    """Give a member of staff another role; ends their sessions. Permissions are those of one who is added with it."""
    given: list[Permission] | None = [] if no_pii else None
    run_service(mongodb_uri, data_dir, lambda: service.set_role(operator(), email, role.value, given))
    Console().print("Set.", highlight=False)


@users.command("disable")
def disable_user(email: str, mongodb_uri: MongodbUri = None, data_dir: DataDir = None) -> None:
    """Refuse a member of staff from now on."""
    run_service(mongodb_uri, data_dir, lambda: service.disable_user(operator(), email))
    Console().print("Disabled.", highlight=False)


@users.command("list")
def list_users(mongodb_uri: MongodbUri = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show all staff."""
    found = run_service(mongodb_uri, data_dir, service.list_users)
    if as_json:
        show_table(tuple(UserOut.model_fields), [list(u.model_dump(mode="json").values()) for u in found], as_json)
        return
    rows = [(u.email, u.name, u.role, "\n".join(u.permissions), u.disabled_at) for u in found]
    show_table(tuple(UserOut.model_fields), rows, as_json)


_Origins = Annotated[
    list[str] | None,
    typer.Option("--origin", help="A web site it may be used on, such as https://*.example.com; repeat it. Else any."),
]
_EventTypes = Annotated[
    list[Event] | None, typer.Option("--event-type", help="What it may send; repeat it. Else everything.")
]
_LARGE = "Take bodies of 4 MB in place of 500 KB: RudderStack's clients send them."


@keys.command("add")
def add_key(
    kind: Annotated[Kind, typer.Option(help="ingest (a shop's backend) or tracking (public, in browsers).")],
    name: Annotated[str, typer.Option(help="What it is for.")],
    source: Annotated[
        str | None, typer.Option(help="What its events are stored under; web (tracking) or api (ingest) if left out.")
    ] = None,
    origin: _Origins = None,
    event_type: _EventTypes = None,
    events_per_second: Annotated[
        int | None, typer.Option(help="How many events it may send, on average; unlimited if left out.")
    ] = None,
    large_batches: Annotated[bool, typer.Option("--large-batches", help=_LARGE)] = False,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make an API key and show it, this once. Both kinds are write keys of tracking clients, too."""
    given = {
        "source": source,
        "origins": origin or [],
        "event_types": [event.value for event in event_type or []],
        "events_per_second": events_per_second,
        "large_batches": large_batches,
    }
    terms = _read(KeyTerms, given, "This key cannot be added:")
    made = run_service(mongodb_uri, data_dir, lambda: service.add_key(operator(), kind.value, name, terms))
    if as_json:
        sys.stdout.write(made.model_dump_json() + "\n")
    else:
        Console(soft_wrap=True).print(
            f"{made.key}\nKeep it: it is not shown again. Its id is {made.id}.", highlight=False
        )


@keys.command("change")
def change_key(
    key_id: str,
    name: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    origin: _Origins = None,
    any_origin: Annotated[bool, typer.Option("--any-origin", help="Let it be used everywhere.")] = False,
    event_type: _EventTypes = None,
    every_event_type: Annotated[bool, typer.Option("--every-event-type", help="Let it send everything.")] = False,
    events_per_second: Annotated[int | None, typer.Option(help="How many events it may send; 0 is unlimited.")] = None,
    large_batches: Annotated[bool | None, typer.Option("--large-batches/--no-large-batches", help=_LARGE)] = None,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Change what a key may send; what is not named stays (a running service heeds it within a second)."""
    given: dict[str, Any] = {
        "name": name,
        "origins": [] if any_origin else origin,
        "event_types": [] if every_event_type else event_type and [event.value for event in event_type],
        "large_batches": large_batches,
    }
    given = {field: value for field, value in given.items() if value is not None}
    if events_per_second is not None:
        given["events_per_second"] = events_per_second or None
    if not given:
        raise InvalidInput("Say what to change; crm key change --help tells what there is.")
    change = _read(KeyChange, given, "This key cannot be changed so:")
    show_keys([run_service(mongodb_uri, data_dir, lambda: service.change_key(operator(), key_id, change))], as_json)


@keys.command("list")
def list_keys(mongodb_uri: MongodbUri = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show all keys, as far as they may be shown."""
    show_keys(run_service(mongodb_uri, data_dir, service.list_keys), as_json)


@keys.command("revoke")
def revoke_key(key_id: str, mongodb_uri: MongodbUri = None, data_dir: DataDir = None) -> None:
    """Refuse a key from now on (a running service notices within a second)."""
    run_service(mongodb_uri, data_dir, lambda: service.revoke_key(operator(), key_id))
    Console().print("Revoked.", highlight=False)


def _read(model: type[M], given: Mapping[str, Any], says: str) -> M:
    """What was typed, as the service takes it.

    Raises:
        InvalidInput: Some of it cannot be accepted; the error names each option.
    """
    try:
        return model.model_validate(given)
    except ValidationError as exc:
        errors = tuple(FieldError("/".join(map(str, e["loc"])), sentence(e["msg"])) for e in exc.errors())
        raise InvalidInput(says, errors=errors) from None


def show_keys(found: Sequence[KeyOut], as_json: bool) -> None:
    """Print keys for a person or for a program."""
    if as_json:
        show_table(tuple(KeyOut.model_fields), [list(key.model_dump(mode="json").values()) for key in found], as_json)
        return
    rows = [(k.id, k.kind, k.name, k.hint, k.source, _terms(k), k.revoked_at) for k in found]
    show_table(("id", "kind", "name", "hint", "source", "only", "revoked_at"), rows, as_json)


def _terms(key: KeyOut) -> str:
    """What a key is held to, a line for each; the options of ``crm key add`` say what each means."""
    limits = [f"{key.events_per_second} events/s"] if key.events_per_second else []
    return "\n".join([*key.origins, *key.event_types, *limits, *(["large batches"] if key.large_batches else [])])


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
    table = Table()
    for name in columns:
        # An id that is cut short or broken in two cannot be copied.
        table.add_column(name, no_wrap=name == "id", overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console().print(table)
