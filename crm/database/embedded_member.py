"""One mongod of an embedded server: what it is started with, whether it still runs, and how it ends."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from crm.database.embedded_process import (
    LOOPBACK,
    explain_exit,
    is_listening,
    port_is_free,
    spawn,
    wait_until_unlocked,
)
from crm.database.embedded_replica_set import REPLICA_SET
from crm.errors import EmbeddedServerError
from crm.processes import free_port

EXIT_NET_ERROR: Final = 48  # mongod could not listen
_PORTS_TRIED: Final = 3


@dataclass(frozen=True, slots=True)
class EmbeddedTls:
    """What the server proves itself with.

    Attributes:
        certificate: Its certificate and private key (PEM).
        authority: Certificates (PEM) of who signed it, and whom clients are to trust.
    """

    certificate: Path
    authority: Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where a member runs.

    Attributes:
        host: The address that it listens on.
        within: A command that runs it there, such as ``ip netns exec NAME``, in whose place it then is.
    """

    host: str = LOOPBACK
    within: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """What all members of a server are started with.

    Attributes:
        keyfile: The replica set's internal secret.
        cache_gb: WiredTiger's cache of each.
        parameters: mongod's ``--setParameter`` names and values.
        tls: With it every connection is encrypted.
    """

    keyfile: Path
    cache_gb: float
    parameters: Mapping[str, str]
    tls: EmbeddedTls | None

    def arguments(self) -> list[str]:
        """As mongod takes them."""
        arguments = {
            "--keyFile": self.keyfile,
            "--replSet": REPLICA_SET,
            "--networkMessageCompressors": "snappy,zstd",  # zlib has a known memory disclosure
            "--wiredTigerCacheSizeGB": self.cache_gb,
            # A slow query is logged with its filter, and filters hold e-mail addresses and names.
            "--slowms": 2**31 - 1,
        }
        pairs = [str(word) for pair in arguments.items() for word in pair]
        settings = [word for pair in self.parameters.items() for word in ("--setParameter", "=".join(pair))]
        return [*pairs, *self._tls_arguments(), "--auth", "--noscripting", "--nounixsocket", "--logappend", *settings]

    def _tls_arguments(self) -> list[str]:
        if self.tls is None:
            return []
        files = ["--tlsCertificateKeyFile", str(self.tls.certificate), "--tlsCAFile", str(self.tls.authority)]
        return ["--tlsMode", "requireTLS", *files, "--tlsAllowConnectionsWithoutCertificates"]


class MemberEnded(Exception):
    """A mongod ended while the server was starting."""

    def __init__(self, member: Member, code: int) -> None:
        super().__init__(code)
        self.member = member
        self.code = code


class Member:
    """One mongod.

    Args:
        folder: Of the server. The first member keeps its data in ``mongodb``, the others in ``mongodb-1`` and so on.
        number: From 0.
        place: Where it runs.
        wanted_port: The only port that will do; None takes any.
        last_port: Of the last start, taken again if it is free.
    """

    def __init__(self, folder: Path, number: int, place: Place, wanted_port: int | None, last_port: int | None) -> None:
        suffix = f"-{number}" if number else ""
        self.data_path = folder / f"mongodb{suffix}"
        self.log = folder / f"mongod{suffix}.log"
        self.port = 0
        self._place = place
        self._ports = self._to_try(wanted_port, last_port)
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._log_offset = 0

    @property
    def name(self) -> str:
        """``host:port``, as the replica set and its clients know it."""
        return f"{self._place.host}:{self.port}"

    @property
    def pid(self) -> int:
        """Of mongod, if it was started; whether it still runs is not said."""
        assert self._process is not None  # noqa: S101  a server's members are started
        return self._process.pid

    def prepare(self, timeout: float) -> None:
        """Make its folder and wait until an orphan of the last start has left it, at most so many seconds."""
        self.data_path.mkdir(mode=0o700, exist_ok=True)
        wait_until_unlocked(self.data_path / "mongod.lock", timeout)

    def choose_port(self) -> bool:
        """Take the next port to try; False where none is left."""
        port = next(self._ports, None)
        if port is not None:
            self.port = port
        return port is not None

    def spawn(self, binary: Path, options: Options, keeper: Executor) -> None:
        """Start it on its port; ``keeper``'s thread must live as long as it shall."""
        self._forget_output()
        self._log_offset = self.log.stat().st_size if self.log.exists() else 0
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  closed when it is started again or ended
        where = ["--dbpath", self.data_path, "--logpath", self.log, "--bind_ip", self._place.host, "--port", self.port]
        command = [*self._place.within, str(binary), *map(str, where), *options.arguments()]
        self._process = keeper.submit(spawn, Path(command[0]), command[1:], self._output).result()

    def check(self) -> None:
        """Raise MemberEnded if it has ended."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise MemberEnded(self, code)

    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def listens(self) -> bool:
        """Whether somebody listens on its port: itself, as long as it runs."""
        return is_listening(self.port, self._place.host)

    def explain(self, code: int) -> EmbeddedServerError:
        """Why it ended by itself."""
        assert self._output is not None  # noqa: S101  it was started
        self._output.seek(0)
        return explain_exit(code, self._output.read().decode(errors="replace"), self.log, self._log_offset)

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            self._process.terminate()

    def end(self, timeout: float) -> None:
        """Wait until it has ended, and kill it after so many seconds."""
        if self._process is not None:
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        self._forget_output()

    def _forget_output(self) -> None:
        if self._output is not None:
            self._output.close()
            self._output = None

    def _to_try(self, wanted: int | None, last: int | None) -> Iterator[int]:
        """Another process may take a free port before mongod does, so there are some."""
        if wanted is not None:
            if not port_is_free(wanted):
                raise EmbeddedServerError(f"Port {wanted} on {LOOPBACK} is in use by another process.")
            yield wanted
            return
        if last is not None and port_is_free(last):
            yield last
        for _ in range(_PORTS_TRIED):
            yield free_port()
