"""What a test does to the members of a site's replica set, and whether they are of one mind afterwards."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from crm.database.driver import name_apart
from tests.e2e.supervised import Site

Client = MongoClient[dict[str, Any]]
DATABASES = ("crm", name_apart("crm"))
_SETTLED_WITHIN = 90.0
_HEALTHY = {1, 2}  # primary, secondary


class Members:
    """The members of one site, by their ``host:port``.

    Attributes:
        names: Of all of them.
    """

    def __init__(self, site: Site) -> None:
        self._server = site.server
        self._user = parse_uri(site.server.root_uri)
        self.names = site.server.address.members

    def client(self, name: str) -> Client:
        """Root's direct connection to one of them; close it."""
        return MongoClient(
            name,
            directConnection=True,
            username=self._user["username"],
            password=self._user["password"],
            serverSelectionTimeoutMS=5_000,
            timeoutMS=20_000,
        )

    def primary(self) -> str:
        """Which one is primary now; waits for one."""
        with MongoClient[Any](self._server.root_uri, timeoutMS=30_000) as client:
            return str(client.admin.command("hello")["me"])

    def others(self, name: str) -> list[str]:
        return [other for other in self.names if other != name]

    def kill(self, name: str) -> None:
        os.kill(self._server.pids[name], signal.SIGKILL)

    @contextmanager
    def standing_still(self, name: str) -> Iterator[None]:
        """It does nothing within the block: as a virtual machine that is paused, or one on a disk that hangs."""
        os.kill(self._server.pids[name], signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._server.pids[name], signal.SIGCONT)

    def step_down(self, name: str) -> None:
        with self.client(name) as client:
            # For so many seconds it cannot be elected again.
            client.admin.command("replSetStepDown", 6, secondaryCatchUpPeriodSecs=5)

    def step_up(self, name: str) -> None:
        """Have it elected."""
        with self.client(name) as client:
            if not client.admin.command("hello")["isWritablePrimary"]:
                client.admin.command("replSetStepUp")

    @contextmanager
    def failpoint(self, name: str, point: str, data: Mapping[str, Any] | None = None) -> Iterator[None]:
        """A fault that mongod imitates within the block."""
        with self.client(name) as client:
            client.admin.command({"configureFailPoint": point, "mode": "alwaysOn", "data": dict(data or {})})
            try:
                yield
            finally:
                client.admin.command({"configureFailPoint": point, "mode": "off"})

    def agree(self) -> int:
        """Every member has the same, to the last field; returns how many collections that are.

        Nobody may write meanwhile.
        """
        self._until(self._caught_up, "the members are not level")
        with ExitStack() as stack:
            clients = {name: stack.enter_context(self.client(name)) for name in self.names}
            hashes = {
                name: {database: client[database].command("dbHash")["collections"] for database in DATABASES}
                for name, client in clients.items()
            }
        first, *others = hashes.values()
        assert all(other == first for other in others), hashes
        return sum(map(len, first.values()))

    def _caught_up(self) -> bool:
        with MongoClient[Any](self._server.root_uri, timeoutMS=10_000) as client:
            status = client.admin.command("replSetGetStatus")
        members = status["members"]
        return {m["state"] for m in members} <= _HEALTHY and len({m["optime"]["ts"] for m in members}) == 1

    def _until(self, holds: Callable[[], bool], otherwise: str) -> None:
        begun = time.monotonic()
        while True:
            try:
                if holds():
                    return
            except PyMongoError:
                pass
            assert time.monotonic() - begun < _SETTLED_WITHIN, otherwise
            time.sleep(0.2)
