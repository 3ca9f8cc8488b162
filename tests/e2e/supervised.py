"""MongoDB and the API as an operator has them: each by itself, and started again at once when it has ended."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx

from crm.auth import service as auth
from crm.auth.schemas import KeyTerms, UserCreate
from crm.database.embedded import EmbeddedServer, EmbeddedTls, Place
from crm.database.embedded_process import write_private
from crm.errors import EmbeddedServerError
from crm.identity import SYSTEM
from crm.ops.provision import administration, provision
from crm.ops.secrets import DemoSecrets
from crm.processes import dies_with_parent, free_port
from tests.e2e.processes import ROOT, clean_environment, descendants, is_running

#: Milliseconds that one operation may take; what a dead process left is taken over after three of them and 5 s.
TIMEOUT_MS = 2_000
_WATCHED_EVERY = 0.02
_READY_WITHIN = 60.0


@dataclass
class Site:
    """MongoDB, ``crm serve``, and who watches them, as systemd does with ``Restart=always``.

    Attributes:
        folder: Where everything is kept.
        workers: Of ``crm serve``.
        secrets_dir: Folder of the API's secrets as files; None passes them on as environment variables.
        tls: With it the API speaks to MongoDB over TLS.
        members: Of MongoDB's replica set.
        parameters: mongod's ``--setParameter`` names and values.
        places: Where each member runs; on loopback without them.
        timeout_ms: Longest time of one database operation of the API.
        mongod_stays_down: Whether a mongod that has ended is left alone.
        restarts: How often each had to be started again.
        failures: Starts that failed and were tried again.
    """

    folder: Path
    workers: int
    port: int = field(default_factory=free_port)
    secrets_dir: Path | None = None
    tls: EmbeddedTls | None = None
    members: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)
    places: Sequence[Place] = ()
    timeout_ms: int = TIMEOUT_MS
    mongod_stays_down: bool = False
    key: str = ""
    restarts: dict[str, int] = field(default_factory=lambda: {"mongod": 0, "api": 0})
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = self._server(self.places)
        self._secrets = DemoSecrets.load_or_create(self.folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def _server(self, places: Sequence[Place]) -> EmbeddedServer:
        port = free_port() if self.members == 1 else None
        return EmbeddedServer(
            self.folder, port=port, members=self.members, parameters=self.parameters, tls=self.tls, places=places
        )

    @property
    def log(self) -> str:
        """All that the API wrote."""
        return (self.folder / "api.log").read_text(errors="replace")

    @property
    def api_pid(self) -> int:
        """The main process of ``crm serve``."""
        assert self._process is not None
        return self._process.pid

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start both, and watch them within the block."""
        if self.places:  # MongoDB lets the first user be made from loopback only
            with self._server(()):
                pass
        await asyncio.to_thread(self.server.start)
        try:
            await self._prepare()
            self._serve()
            watching = [asyncio.create_task(self._watch_mongod()), asyncio.create_task(self._watch_api())]
            try:
                await self.until_ready()
                yield
            finally:
                for task in watching:
                    task.cancel()
                done = await asyncio.gather(*watching, return_exceptions=True)
                self.end_api()
            assert [error for error in done if not isinstance(error, asyncio.CancelledError)] == []
        finally:
            await asyncio.to_thread(self.server.stop)

    async def until_ready(self) -> None:
        begun = time.monotonic()
        async with httpx.AsyncClient(timeout=10) as client:
            while time.monotonic() - begun < _READY_WITHIN:
                with suppress(httpx.TransportError):
                    if (await client.get(self.url("/health/ready"))).status_code == 200:
                        return
                await asyncio.sleep(0.05)
        raise AssertionError(f"not ready:\n{self.log}")

    async def add_key(self, kind: str, source: str, **terms: Any) -> str:
        """A further key, for whose events ``source`` is the source."""
        async with administration(self.server.root_uri, self._secrets.settings(self._plain)):
            return (await auth.add_key(SYSTEM, kind, source, KeyTerms(source=source, **terms))).key

    @asynccontextmanager
    async def staff(self, role: Literal["admin", "sales", "analyst"] = "admin") -> AsyncIterator[httpx.AsyncClient]:
        """A client of the API, signed in as one of the staff: without a role, as one who may see everything."""
        email, password = f"{secrets.token_hex(8)}@example.com", secrets.token_hex(8)
        async with administration(self.server.root_uri, self._secrets.settings(self._plain)):
            await auth.add_user(SYSTEM, UserCreate(email=email, name="Somebody", role=role, password=password))
        async with httpx.AsyncClient(base_url=self.url("/api/v1"), timeout=30) as client:
            answer = await client.post("/auth/token", data={"username": email, "password": password})
            client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
            yield client

    def kill_mongod(self) -> None:
        os.kill(self.server.pid, signal.SIGKILL)

    def kill_api(self, choose: Callable[[list[str]], str]) -> str:
        """Kill -9 of the main process, of a worker, or of all of them at once; which one was chosen."""
        workers = sorted(descendants(self.api_pid))
        victim = choose(["all", "main", "worker"] if workers else ["main"])
        pids = {"all": [self.api_pid, *workers], "main": [self.api_pid], "worker": workers[:1]}[victim]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return victim

    async def _prepare(self) -> None:
        self._plain = self.server.address.plain()
        settings = self._secrets.settings(self._plain)
        await provision(self.server.root_uri, settings)
        async with administration(self.server.root_uri, settings):
            self.key = (await auth.add_key(SYSTEM, "ingest", "a shop")).key

    def _serve(self) -> None:
        command = [sys.executable, "-m", "crm", "serve", "--port", str(self.port), "--workers", str(self.workers)]
        environment = {**clean_environment(measured=False), **self._settings_of_the_api()}
        environment["CRM_MONGODB_TIMEOUT_MS"] = str(self.timeout_ms)
        with (self.folder / "api.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, cwd=ROOT, stdout=log, stderr=log, preexec_fn=dies_with_parent()
            )

    def _settings_of_the_api(self) -> Mapping[str, str]:
        environment = self._secrets.environment(self._plain)
        if self.secrets_dir is None:
            return environment
        if not self.secrets_dir.exists():
            self.secrets_dir.mkdir(mode=0o700)
            for name, value in self._secrets.content["settings"].items():
                write_private(self.secrets_dir / f"crm_{name}", value)
        return {"CRM_MONGODB_URI": self._plain, "CRM_SECRETS_DIR": str(self.secrets_dir)}

    def end_api(self) -> None:
        """Nobody starts it again."""
        assert self._process is not None
        self._ended = True
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)

    async def _watch_mongod(self) -> None:
        while True:
            await asyncio.sleep(_WATCHED_EVERY)
            if self.mongod_stays_down:
                continue
            if self.members > 1:
                self.restarts["mongod"] += len(await asyncio.to_thread(self.server.revive))
            elif not is_running(self.server.pid):
                self.restarts["mongod"] += 1
                await self._start_mongod()

    async def _start_mongod(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.server.start)
            except EmbeddedServerError as error:
                self.failures.append(str(error))
                await asyncio.sleep(0.1)
            else:
                return

    async def _watch_api(self) -> None:
        while True:
            await asyncio.sleep(_WATCHED_EVERY)
            if not self._ended and self._process is not None and self._process.poll() is not None:
                self.restarts["api"] += 1
                self._serve()
