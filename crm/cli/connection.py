"""How a command reaches the database: a URI, or the embedded server of a data directory."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from crm.config import Settings
from crm.database.embedded import EmbeddedServer, running_uri
from crm.identity import PII_READ, Principal, Role
from crm.ops.secrets import DemoSecrets

MongodbUri = Annotated[
    str | None,
    typer.Option("--mongodb-uri", help="Where MongoDB is, with credentials; else CRM_MONGODB_URI.", show_default=False),
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Use the embedded MongoDB of this directory.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def operator() -> Principal:
    """Who acts at the command line: whoever has a shell and the database's credentials, by their name on this host."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, users often have a number only
        user = f"uid {os.getuid()}"
    name = f"{user} on {socket.gethostname()}"[:200]
    return Principal(id="cli", role=Role.ADMIN, name=name, kind="system", permissions=frozenset({PII_READ}))


def settings_with(mongodb_uri: str | None) -> Settings:
    """The settings as they are now, with a URI that was given in place of theirs."""
    return Settings.from_environment(**({"mongodb_uri": mongodb_uri} if mongodb_uri else {}))


@contextmanager
def target(mongodb_uri: str | None, data_dir: Path | None, *, cache_gb: float = 0.25) -> Iterator[tuple[str, Settings]]:
    """The URI and settings of the database a command works on; an embedded server runs meanwhile.

    A data directory whose server runs already (``crm demo`` in another terminal) is used as it is.

    Args:
        mongodb_uri: As given; None is that of the settings.
        data_dir: As given.
        cache_gb: Of an embedded server that is started.

    Raises:
        NotConfigured: Neither a URI nor a directory is given.
        EmbeddedServerError: The embedded server cannot run.
    """
    if data_dir is None:
        settings = settings_with(mongodb_uri)
        yield settings.root_uri(), settings
        return
    secrets = DemoSecrets.load_or_create(data_dir)
    uri = running_uri(data_dir)
    if uri is not None:
        yield uri, secrets.settings(uri)
        return
    with EmbeddedServer(data_dir, cache_gb=cache_gb) as server:
        yield server.root_uri, secrets.settings(server.root_uri)
