"""The whole product on one machine, nothing to configure: MongoDB, contract, users, keys, sample data, API."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final

import httpx
from rich.console import Console

from crm.auth import service as auth
from crm.auth.schemas import UserCreate
from crm.clock import now
from crm.config import Settings
from crm.database.embedded import EmbeddedServer
from crm.database.embedded_process import write_private
from crm.errors import AlreadyExists, OperatorError
from crm.identity import KEY_KINDS, STAFF_ROLES, SYSTEM, Role
from crm.ops.progress import stages
from crm.ops.provision import administration, provision
from crm.ops.secrets import DemoSecrets
from crm.processes import dies_with_parent
from crm.sample import loader

_RETAIL_FILE: Final = Path(__file__).parent.parent / "sample" / "online_retail_2010-12.csv.gz"
_READY_WITHIN: Final = 60.0
_STOPS_WITHIN: Final = 20.0
_LOOKS_AFTER: Final = 1.0
#: The MongoDB users whose addresses the credentials file gives.
_MONGODB_USERS: Final = (Role.ADMIN, Role.SALES, Role.INGEST, Role.ANALYST, Role.BACKUP)


class _Stopped(Exception):
    """SIGINT or SIGTERM came."""


@dataclass(slots=True)
class Demo:
    """One run of ``crm demo``.

    Attributes:
        host: Where the API listens.
        port: On which port.
        data_dir: Where everything is kept.
        sample: Whether to load sample data into an empty store.
        credentials_file: Where to write the sign-in data once ready.
        workers: Server processes.
        members: Of MongoDB's replica set; None for as many as last time, at first one.
    """

    host: str
    port: int
    data_dir: Path
    sample: bool = True
    credentials_file: Path | None = None
    workers: int = 1
    members: int | None = None
    _secrets: DemoSecrets = field(init=False)

    def run(self, console: Console) -> None:
        """Run until SIGINT or SIGTERM, then stop the API and MongoDB cleanly.

        Raises:
            OperatorError: Something did not start; what had started is stopped again.
        """
        if self.credentials_file:
            self.credentials_file.unlink(missing_ok=True)
        _port_must_be_free(self.host, self.port)
        with _stop_signals(), EmbeddedServer(self.data_dir, members=self.members) as server:
            self._secrets = DemoSecrets.load_or_create(self.data_dir)
            try:
                # Without credentials: the API signs in as its own users.
                plain = server.address.plain()
                settings = self._secrets.settings(plain)
                asyncio.run(self._prepare(server.root_uri, settings))
                with self._api(plain) as process:
                    self._wait_until_ready(process)
                    if self.sample:
                        self._load_sample(console)
                    self._announce(console, server)
                    while process.poll() is None:
                        server.revive()
                        time.sleep(_LOOKS_AFTER)
                    raise OperatorError(f"The API ended by itself with code {process.returncode}.")
            except _Stopped:
                console.print("Stopping …", highlight=False)

    async def _prepare(self, root_uri: str, settings: Settings) -> None:
        """Build the database, make the users and keys."""
        await provision(root_uri, settings)
        if not self._people_are_known():
            async with administration(root_uri, settings):
                await self._add_people()

    def _people_are_known(self) -> bool:
        content = self._secrets.content
        return len(content["passwords"]) == len(STAFF_ROLES) and len(content["api_keys"]) == len(KEY_KINDS)

    async def _add_people(self) -> None:
        for role in STAFF_ROLES:
            if role.value not in self._secrets.content["passwords"]:
                password = secrets.token_urlsafe(12)
                # Remembered first: were it the other way, a kill in between would leave a user nobody can be.
                new = {"email": _email(role), "name": f"Demo {role.value}", "role": role.value, "password": password}
                try:
                    await auth.add_user(SYSTEM, UserCreate.model_validate(new))
                except AlreadyExists:
                    await auth.set_password(SYSTEM, _email(role), password)
                self._secrets.remember("passwords", role.value, password)
        for kind in KEY_KINDS:
            if kind.value not in self._secrets.content["api_keys"]:
                made = await auth.add_key(SYSTEM, kind.value, f"Demo {kind.value}")
                self._secrets.remember("api_keys", kind.value, made.key)

    @contextmanager
    def _api(self, uri: str) -> Iterator[subprocess.Popen[bytes]]:
        """The API in a process of its own; its log goes to the data directory."""
        command = [sys.executable, "-m", "crm", "serve", "--host", self.host, "--port", str(self.port)]
        command += ["--workers", str(self.workers)]
        environment = {**os.environ, **self._secrets.environment(uri)}
        with (self.data_dir / "api.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  our own command line
                command, env=environment, stdout=log, stderr=log, start_new_session=True, preexec_fn=dies_with_parent()
            )
            try:
                yield process
            finally:
                _end(process)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        with httpx.Client(base_url=self._base_url(), timeout=5) as client:
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    raise OperatorError(f"The API did not start; its log is {self.data_dir / 'api.log'}.")
                try:
                    if client.get("/health/ready").status_code == 200:
                        return
                except httpx.TransportError:
                    pass  # not listening yet
                time.sleep(0.05)
        raise OperatorError(f"The API was not ready within {_READY_WITHIN:g} s; see {self.data_dir / 'api.log'}.")

    def _load_sample(self, console: Console) -> None:
        """Load what is missing of it: a load that was interrupted goes on with the same times."""
        state = self.data_dir / "sample.json"
        known: dict[str, Any] = json.loads(state.read_text()) if state.exists() else {"now": now().isoformat()}
        if known.get("complete"):
            return
        write_private(state, json.dumps(known))
        console.print("Loading the sample: a real shop's invoices and invented people.", highlight=False)
        with stages(console) as on_progress:
            asyncio.run(self._send_sample(datetime.fromisoformat(known["now"]), on_progress))
        write_private(state, json.dumps({**known, "complete": True}))

    async def _send_sample(self, moment: datetime, on_progress: Any) -> None:
        password = self._secrets.content["passwords"][Role.SALES.value]
        form = {"username": _email(Role.SALES), "password": password}
        async with httpx.AsyncClient(base_url=self._base_url(), timeout=60) as staff:
            token = (await staff.post("/api/v1/auth/token", data=form)).raise_for_status().json()["access_token"]
            staff.headers["Authorization"] = f"Bearer {token}"
            key = self._secrets.content["api_keys"][Role.INGEST.value]
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(base_url=self._base_url(), timeout=60, headers=headers) as client:
                await loader.load(client, staff, retail_file=_RETAIL_FILE, now=moment, on_progress=on_progress)

    def _announce(self, console: Console, server: EmbeddedServer) -> None:
        content = self._secrets.content
        url = self._base_url()
        if self.credentials_file:
            write_private(self.credentials_file, json.dumps(self._credentials(server), indent=2))
        lines = [f"\nThe API answers at {url}, its docs are at {url}/api/docs"]
        lines += [f"  {role.value:<9} {_email(role)}  {content['passwords'][role.value]}" for role in STAFF_ROLES]
        lines += [f"  {kind.value:<9} {content['api_keys'][kind.value]}" for kind in KEY_KINDS]
        if len(server.pids) > 1:
            members = ", ".join(f"{member} (process {pid})" for member, pid in server.pids.items())
            lines.append(f"MongoDB is a replica set: {members}. One that is killed is started again.")
        lines.append(f"Stop with Ctrl-C; the data stays in {self.data_dir}")
        for line in lines:
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _credentials(self, server: EmbeddedServer) -> dict[str, Any]:
        content, database = self._secrets.content, self._secrets.settings("mongodb://x").mongodb_database

        def uri(role: Role) -> str:
            return server.address.uri(
                role.value, content["settings"][f"mongodb_password_{role.value}"], database, database
            )

        return {
            "base_url": self._base_url(),
            "mongodb": {role.value: uri(role) for role in _MONGODB_USERS},
            "users": {r.value: {"email": _email(r), "password": content["passwords"][r.value]} for r in STAFF_ROLES},
            "api_keys": {kind.value: content["api_keys"][kind.value] for kind in KEY_KINDS},
        }

    def _base_url(self) -> str:
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104  compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def _email(role: Role) -> str:
    return f"{role.value}@example.com"


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port_must_be_free(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise OperatorError(f"Cannot listen on {host}:{port} ({exc.strerror}); choose another --port.") from None


@contextmanager
def _stop_signals() -> Iterator[None]:
    """SIGINT and SIGTERM end the block with _Stopped, once: a second Ctrl-C does not cut the clean stop short."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise _Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
