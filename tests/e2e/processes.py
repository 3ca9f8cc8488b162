"""A demo as a process of its own, started, watched and ended as a user would; only processes started here are ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pymongo import MongoClient

from crm.processes import free_port

ROOT = Path(__file__).parents[2]
READY_WITHIN = 180.0  # seconds; with the sample and under coverage on a slow machine
GONE_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


def crm(*arguments: str, stdin: str | None = None, **environment: str) -> Outcome:
    """Run a ``crm`` command to its end, with none of the settings of whoever runs the tests."""
    return _run(arguments, stdin, {**clean_environment(), **environment})


def crm_unmeasured(*arguments: str, **environment: str) -> Outcome:
    """The same for long work, without coverage."""
    return _run(arguments, None, {**clean_environment(measured=False), **environment})


def _run(arguments: Sequence[str], stdin: str | None, environment: Mapping[str, str]) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", "crm", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=READY_WITHIN,
        env=environment,
        cwd=ROOT,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def clean_environment(*, measured: bool = True) -> dict[str, str]:
    """This process's environment without CRM_… and with a terminal of 80 columns.

    Args:
        measured: Whether the coverage of what runs in it is measured, if that of the tests is. Long work takes two to
            three times as long with it, and the loader and the importer have tests of their own.
    """
    left_out = ("CRM_",) if measured else ("CRM_", "COVERAGE_PROCESS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "COLUMNS": "80", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"}


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def descendants(pid: int) -> dict[int, str]:
    """Children, grandchildren and so on, with their command lines."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found: dict[int, str] = {}
    rest = [pid]
    while rest:
        parent = rest.pop()
        for child in (c for c, p in parents.items() if p == parent):
            rest.append(child)
            try:
                found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def wait_until_gone(pids: dict[int, str]) -> float:
    """Wait until none of the processes is left; returns the seconds that took."""
    begun = time.monotonic()
    while left := {pid: name for pid, name in pids.items() if is_running(pid)}:
        assert time.monotonic() - begun < GONE_WITHIN, f"still running: {left}"
        time.sleep(0.05)
    return time.monotonic() - begun


@dataclass(slots=True)
class DemoProcess:
    """``crm demo`` on a data directory of its own; can be stopped and started again.

    Attributes:
        data_dir: Where it keeps everything.
        sample: Whether it loads the sample.
        measured: As in ``clean_environment``.
        port: Of the API.
        options: Further ones of the command line.
    """

    data_dir: Path
    sample: bool = True
    measured: bool = True
    port: int = field(default_factory=free_port)
    options: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None

    @property
    def credentials_file(self) -> Path:
        """Beside the data directory."""
        return self.data_dir.with_name(f"{self.data_dir.name}-credentials.json")

    @property
    def credentials(self) -> dict[str, Any]:
        """The credentials file as it is now."""
        content: dict[str, Any] = json.loads(self.credentials_file.read_text())
        return content

    @property
    def url(self) -> str:
        """Of the API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """All that it printed since its last start."""
        return self._output.read_text()

    @property
    def _output(self) -> Path:
        return self.data_dir.with_name(f"{self.data_dir.name}.out")

    @property
    def process(self) -> subprocess.Popen[str]:
        """The running process."""
        assert self._process is not None
        return self._process

    def command(self, *more: str) -> list[str]:
        """The command line."""
        options = ["--data-dir", str(self.data_dir), "--port", str(self.port)]
        options += ["--credentials-file", str(self.credentials_file)]
        options += [*([] if self.sample else ["--no-sample"]), *self.options]
        return [sys.executable, "-m", "crm", "demo", *options, *more]

    def begin(self) -> None:
        """Start it, without waiting."""
        environment = clean_environment(measured=self.measured)
        with self._output.open("w") as output:
            self._process = subprocess.Popen(
                self.command(), stdout=output, stderr=output, env=environment, cwd=ROOT, text=True
            )

    def start(self) -> float:
        """Start it and wait for its credentials file; returns the seconds that took."""
        self.credentials_file.unlink(missing_ok=True)  # else the last start's would do
        begun = time.monotonic()
        self.begin()
        while not self.credentials_file.exists():
            assert self.process.poll() is None, f"the demo ended with {self.process.returncode}:\n{self.log}"
            assert time.monotonic() - begun < READY_WITHIN, f"not ready after {READY_WITHIN:g} s:\n{self.log}"
            time.sleep(0.01)
        return time.monotonic() - begun

    def signal(self, number: signal.Signals) -> tuple[int, dict[int, str]]:
        """Send a signal to the demo alone; returns its exit code and the processes that it had started."""
        children = descendants(self.process.pid)
        self.process.send_signal(number)
        return self.process.wait(GONE_WITHIN), children

    def stop(self) -> None:
        """End it cleanly, if it runs; nothing that it started is left."""
        if self._process is not None and self._process.poll() is None:
            _, children = self.signal(signal.SIGTERM)
            wait_until_gone(children)

    def client(self, **headers: str) -> httpx.Client:
        """A client of its API."""
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def staff(self, role: str) -> httpx.Client:
        """A client signed in as one of the staff."""
        user = self.credentials["users"][role]
        form = {"username": user["email"], "password": user["password"]}
        answer = httpx.post(f"{self.url}/api/v1/auth/token", data=form, timeout=30)
        return self.client(Authorization=f"Bearer {answer.raise_for_status().json()['access_token']}")

    def mongodb(self, role: str) -> MongoClient[dict[str, Any]]:
        """A driver's client signed in as one of the MongoDB users of the credentials file; close it."""
        return MongoClient(self.credentials["mongodb"][role], tz_aware=True)

    def counts(self) -> dict[str, int]:
        """How many documents each collection has."""
        with self.mongodb("admin") as client:
            db = client.get_default_database()
            names = ("customers", "products", "orders", "events", "interactions", "users", "api_keys")
            return {name: db[name].count_documents({}) for name in names}
