"""``crm rotate``: other secrets while the service runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from crm.cli.connection import MongodbUri, target
from crm.config import Settings, secrets_folder
from crm.database.renewing import KNOWN_WITHIN
from crm.errors import NotConfigured
from crm.identity import API_ROLES, Role
from crm.ops import rotating

app = typer.Typer(
    no_args_is_help=True, help="Change secrets while the service runs; it takes up the files within seconds."
)
Folder = Annotated[Path | None, typer.Argument(help="Where the secrets are; else CRM_SECRETS_DIR.", show_default=False)]


@app.command()
def tokens(
    folder: Folder = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds until every process has read the file, and the new key signs.")
    ] = KNOWN_WITHIN,
    forget: Annotated[bool, typer.Option("--forget", help="Accept only the key that signs, when it is time.")] = False,
    at_once: Annotated[bool, typer.Option("--at-once", help="Forget though tokens are valid: ends sessions.")] = False,
) -> None:
    """Make a new key for staff tokens; those of before stay accepted until --forget."""
    where = _folder(folder)
    if forget:
        valid_for = Settings.from_environment().token_seconds
        _tell(f"Forgot {rotating.forget_tokens(where, valid_for, at_once=at_once)} keys.")
        return
    asyncio.run(rotating.rotate_tokens(where, wait, _tell))
    _tell("Run this with --forget once the tokens of before have expired.")


@app.command()
def mongodb(
    folder: Folder = None,
    role: Annotated[list[Role] | None, typer.Option(help="Only this one; can be repeated.", show_default=False)] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds until nobody should be signed in as the old users any more.")
    ] = 120,
    mongodb_uri: MongodbUri = None,
) -> None:
    """Give MongoDB users new passwords: those of the API's roles unless --role says otherwise. Needs root."""
    where = _folder(folder)
    with target(mongodb_uri, None) as (uri, settings):
        asyncio.run(rotating.rotate_users(uri, settings, where, role or API_ROLES, wait, _tell))


def _folder(given: Path | None) -> Path:
    folder = given or secrets_folder()
    if folder is None or not folder.is_dir():
        raise NotConfigured("Name the folder of the secrets, or set CRM_SECRETS_DIR.")
    return folder


def _tell(line: str) -> None:
    Console().print(line, highlight=False, markup=False, soft_wrap=True)
