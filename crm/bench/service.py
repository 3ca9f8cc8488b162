"""A MongoDB and servers of its own for a measurement: the whole contract applied, real processes."""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from crm.auth import service as auth
from crm.auth.schemas import UserCreate
from crm.config import Settings
from crm.database.embedded import EmbeddedServer
from crm.errors import AlreadyExists, OperatorError
from crm.identity import ANONYMOUS, SYSTEM, Role
from crm.ops.provision import administration, provision
from crm.ops.secrets import DemoSecrets
from crm.processes import cpu_seconds, dies_with_parent, free_port, resident_bytes

_READY_WITHIN: Final = 60.0
#: Longer than any measurement takes.
_TOKEN_SECONDS: Final = 86_400
HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Store:
    """An embedded MongoDB with the contract applied.

    Attributes:
        key: An ingest key.
        token: Of somebody on the staff, who may see everything.
        mongodb_uri: Of the MongoDB user ``ingest``.
        root_uri: Of the one who may do everything.
        settings: As the API has them.
        environment: The same for a server process.
    """

    key: str
    token: str
    mongodb_uri: str
    root_uri: str
    settings: Settings
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Served:
    """A running server.

    Attributes:
        port: Where it listens.
        pid: Its process; the workers are its children.
    """

    port: int
    pid: int

    def resident_mb(self) -> float | None:
        """Memory of the server with all its workers, in MB of 10^6 bytes; None where the system does not tell."""
        found = resident_bytes(self.pid)
        return None if found is None else found / 1e6

    def cpu_seconds(self) -> float | None:
        """Processor time that the server with all its workers has used so far; None where the system does not tell."""
        return cpu_seconds(self.pid)


def machine() -> str:
    """What is measured on, for whoever compares."""
    return f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs"


@contextmanager
def store() -> Iterator[Store]:
    """Start MongoDB in a temporary folder and apply the contract; stop and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="crm-bench-") as folder, store_in(Path(folder)) as stored:
        yield stored


@contextmanager
def store_in(folder: Path, *, cache_gb: float = 0.25) -> Iterator[Store]:
    """The same in a folder that stays, with whatever is in it."""
    with EmbeddedServer(folder, cache_gb=cache_gb) as server:
        kept = DemoSecrets.load_or_create(folder)
        plain = server.address.plain()
        settings = kept.settings(plain)
        key, token = asyncio.run(_prepare(server.root_uri, settings))
        database = settings.mongodb_database
        uri = server.address.uri("ingest", settings.password(Role.INGEST) or "", database, database)
        yield Store(key, token, uri, server.root_uri, settings, kept.environment(plain))


@contextmanager
def serving(stored: Store, workers: int, **settings: str) -> Iterator[Served]:
    """Run ``crm serve`` on it, with further settings as environment variables."""
    port = free_port()
    command = [sys.executable, "-m", "crm", "serve", "--port", str(port), "--workers", str(workers)]
    environment = {**os.environ, **stored.environment, **settings}
    process = subprocess.Popen(  # noqa: S603  our own command line
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=dies_with_parent(),
    )
    try:
        _wait(port, process)
        yield Served(port, process.pid)
    finally:
        process.terminate()
        process.wait()


async def _prepare(root_uri: str, settings: Settings) -> tuple[str, str]:
    await provision(root_uri, settings)
    email, password = "bench@example.com", secrets.token_urlsafe(16)
    async with administration(root_uri, settings):
        try:
            await auth.add_user(SYSTEM, UserCreate(email=email, name="Bench", role="admin", password=password))
        except AlreadyExists:
            await auth.set_password(SYSTEM, email, password)
        lasting = settings.model_copy(update={"token_seconds": _TOKEN_SECONDS})
        token = await auth.sign_in(ANONYMOUS, email, password, HOST, lasting)
        return (await auth.add_key(SYSTEM, "ingest", "bench")).key, token.access_token


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://{HOST}:{port}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise OperatorError("The server to be measured did not start.")
