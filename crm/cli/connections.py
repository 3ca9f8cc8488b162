"""``crm connection`` and ``crm inbox``: shops that deliver webhooks, and what became of what they delivered."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from crm.cli.connection import DataDir, Json, MongodbUri, operator
from crm.cli.sign_in import run_service, show_table
from crm.connections import service
from crm.connections.schemas import ConnectionCreate, ConnectionOut, ConnectionUpdate, SecretCreate
from crm.database.paging import LARGEST_PAGE, PageRequest
from crm.errors import FieldError, InvalidInput
from crm.inbox import service as inbox_service
from crm.inbox.schemas import State

_STDIN = "Read the secret from stdin."


class Shop(StrEnum):
    """Kinds of shop."""

    SHOPIFY = "shopify"
    WOOCOMMERCE = "woocommerce"


connections = typer.Typer(no_args_is_help=True, help="Shops that deliver webhooks.")
inbox = typer.Typer(no_args_is_help=True, help="What they delivered, and what became of it.")


@connections.command("add")
def add_connection(
    kind: Annotated[Shop, typer.Argument(help="What the shop runs on.")],
    name: Annotated[str, typer.Argument(help="Last part of the webhook's URL: small letters, digits and hyphens.")],
    source: Annotated[
        str | None, typer.Option(help="Name under which orders and customers are stored; NAME when left out.")
    ] = None,
    shop: Annotated[str | None, typer.Option(help="The shop's address; deliveries of another one are refused.")] = None,
    currency: Annotated[str | None, typer.Option(help="Of the shop's prices; product webhooks do not say.")] = None,
    secret_stdin: Annotated[bool, typer.Option("--secret-stdin", help=_STDIN)] = False,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Let a shop deliver webhooks.

    Shopify's secret is the app's client secret: it is asked for, never an argument, since those are seen by every
    process. For WooCommerce one is made and shown, this once, unless --secret-stdin gives one.
    """
    made = None if secret_stdin or kind is Shop.SHOPIFY else service.new_secret()
    fields = {
        "kind": kind.value,
        "name": name,
        "source": source,
        "shop": shop,
        "currency": currency,
        "secret": made or _secret(secret_stdin),
    }
    try:
        new = ConnectionCreate.model_validate(fields)
    except ValidationError as exc:
        raise _refusal(exc) from None
    out = run_service(mongodb_uri, data_dir, lambda: service.create(operator(), new))
    if as_json:
        # The secret itself only where it was made here: this is the one time that it can be seen.
        shown = out.model_dump(mode="json") | ({"secret": made} if made else {})
        sys.stdout.write(json.dumps(shown) + "\n")
        return
    told = f"Added {out.id}. Webhooks go to {out.path} of this service."
    Console(soft_wrap=True).print(
        f"{told}\nSecret for the shop, not shown again: {made}" if made else told, highlight=False
    )


@connections.command("list")
def list_connections(mongodb_uri: MongodbUri = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show all connections, and of their secrets as much as may be shown."""

    async def all_of_them() -> list[ConnectionOut]:
        found, cursor = [], None
        while True:
            page = await service.page(operator(), PageRequest(limit=LARGEST_PAGE, cursor=cursor))
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    rows = [
        (c.name, c.kind, c.source, c.shop, c.path, " ".join(f"{s.id}=…{s.hint}" for s in c.secrets), c.disabled_at)
        for c in run_service(mongodb_uri, data_dir, all_of_them)
    ]
    show_table(("name", "kind", "source", "shop", "path", "secrets", "disabled_at"), rows, as_json)


@connections.command("rotate")
def rotate_secret(
    name: Annotated[str, typer.Argument(help="Of the connection.")],
    secret_stdin: Annotated[bool, typer.Option("--secret-stdin", help=_STDIN)] = False,
    remove: Annotated[
        str | None, typer.Option(metavar="SECRET_ID", help="Stop accepting this one instead; `list` shows the ids.")
    ] = None,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
) -> None:
    """Accept one more secret; once the shop signs with it, run this again with --remove for the old one."""
    secret = None if remove else _secret(secret_stdin)

    async def change() -> ConnectionOut:
        connection = await service.named(name)
        if secret is None:
            return await service.remove_secret(operator(), connection.id, remove or "")
        try:
            new = SecretCreate(secret=secret)
        except ValidationError as exc:
            raise _refusal(exc) from None
        return await service.add_secret(operator(), connection.id, new)

    live = len(run_service(mongodb_uri, data_dir, change).secrets)
    Console().print(f"{name} accepts {live} secret{'s' if live > 1 else ''} now.", highlight=False)


@connections.command("disable")
def disable_connection(
    name: str,
    enable: Annotated[bool, typer.Option("--undo", help="Enable it again.")] = False,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
) -> None:
    """Take no more from a shop but privacy requests."""

    async def change() -> None:
        connection = await service.named(name)
        await service.update(operator(), connection.id, ConnectionUpdate(disabled=not enable), connection.version)

    run_service(mongodb_uri, data_dir, change)
    Console().print("Enabled." if enable else "Disabled.", highlight=False)


@inbox.command("list")
def list_deliveries(
    state: Annotated[str, typer.Option(help="waiting, working, done or dead.")] = "dead",
    limit: Annotated[int, typer.Option(min=1, max=LARGEST_PAGE, help="The latest so many.")] = 50,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show the latest deliveries in a state, without what was sent."""
    known: dict[str, State] = {"waiting": "waiting", "working": "working", "done": "done", "dead": "dead"}
    if state not in known:
        raise InvalidInput.at("--state", f"One of {', '.join(known)}.")
    page = run_service(
        mongodb_uri, data_dir, lambda: inbox_service.page(operator(), known[state], None, PageRequest(limit=limit))
    )
    columns = ("id", "connection_id", "topic", "resource", "received_at", "attempts", "reason", "detail")
    show_table(columns, [tuple(getattr(one, name) for name in columns) for one in page.items], as_json)


@inbox.command("replay")
def replay(
    delivery_id: Annotated[str | None, typer.Argument(help="One dead delivery.", show_default=False)] = None,
    connection: Annotated[
        str | None, typer.Option(metavar="NAME", help="All dead deliveries of this connection.")
    ] = None,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
) -> None:
    """Let dead deliveries wait again; a running service carries them out within a second or so."""
    if (delivery_id is None) == (connection is None):
        raise InvalidInput("Name one delivery, or a connection with --connection.")

    async def again() -> int:
        if connection is not None:
            return await inbox_service.replay_all(operator(), (await service.named(connection)).id)
        await inbox_service.replay(operator(), delivery_id or "")
        return 1

    Console().print(f"{run_service(mongodb_uri, data_dir, again)} to be carried out again.", highlight=False)


def _secret(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    asked: str = typer.prompt("Secret that the shop signs with", hide_input=True)
    return asked.strip()


def _refusal(exc: ValidationError) -> InvalidInput:
    errors = tuple(FieldError("/".join(map(str, e["loc"])), e["msg"]) for e in exc.errors(include_input=False))
    return InvalidInput("This connection cannot be made so:", errors=errors)
