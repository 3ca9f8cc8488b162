"""``crm demo`` and ``crm serve``: the running service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from crm.config import Settings
from crm.database.embedded import MOST_MEMBERS
from crm.ops import secrets, server
from crm.ops.demo import Demo

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Server processes.")]


def demo(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    data_dir: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path(".crm"),
    sample: Annotated[bool, typer.Option(help="Load sample data when the store is empty.")] = True,
    credentials_file: Annotated[
        Path | None, typer.Option(help="Write the sign-in data there, once the service is ready.", show_default=False)
    ] = None,
    workers: Workers = 1,
    members: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_MEMBERS, help="MongoDB processes, as one replica set.", show_default="as before, or 1"
        ),
    ] = None,
) -> None:
    """Start everything on this machine: MongoDB, the database, sample data, the API. For trying out."""
    Demo(host, port, data_dir, sample, credentials_file, workers, members).run(Console(stderr=True))


def serve(host: Host = "127.0.0.1", port: Port = 8000, workers: Workers = 1) -> None:
    """Serve the API with the settings of the environment. For production."""
    Settings.from_environment().require_for_serving()
    server.serve(host, port, workers)


def secrets_(folder: Annotated[Path, typer.Argument(help="Where to write them; CRM_SECRETS_DIR reads them.")]) -> None:
    """Write a full set of random secrets as files that only you can read; none that is there is touched."""
    written = secrets.write_files(folder)
    Console().print(f"Wrote {len(written)} files to {folder}.", highlight=False)
