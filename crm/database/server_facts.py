"""What a MongoDB server says of itself, as far as whoever asks may know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo.errors import OperationFailure

from crm.database.driver import Database
from crm.database.failures import driver_errors

_UNAUTHORIZED: Final = 13
_PARAMETERS: Final = dict.fromkeys(("featureCompatibilityVersion", "ttlMonitorEnabled", "enableTestCommands"), 1)


@dataclass(frozen=True, slots=True)
class Profiler:
    """How operations are noted.

    Attributes:
        level: 0 is off, 1 notes slow ones, 2 all.
        slow_ms: From how long on an operation is slow; such ones are in the server's log, too, at any level.
    """

    level: int
    slow_ms: int


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """One server. Whatever is None, whoever asks may not know; ``hidden`` says what it would take.

    Attributes:
        version: Such as ``8.0.37``.
        name: Host and port, as the replica set has it.
        members: Of the replica set, by host and port; none where it is in none.
        replica_set: Its name; "" where it is in none.
        options: What it was started with, command line and configuration file together.
        parameters: Some of its parameters.
        default_write: How many members confirm a write of a client that does not say: a number or ``majority``; None
            where there are none to confirm it.
        warnings: Its own warnings at its start.
        profiler: How operations are noted.
        started_at: When it was started.
        scans: Reads of a whole collection since then.
        users_beside: Users of other databases, with their roles.
        hidden: What is not visible → the action that would show it.
    """

    version: str
    name: str = ""
    members: Sequence[str] = ()
    replica_set: str = ""
    options: Mapping[str, Any] | None = None
    parameters: Mapping[str, Any] | None = None
    default_write: int | str | None = None
    warnings: Sequence[str] | None = None
    profiler: Profiler | None = None
    started_at: datetime | None = None
    scans: int | None = None
    users_beside: Mapping[str, Sequence[str]] | None = None
    hidden: Mapping[str, str] = field(default_factory=dict)

    def option(self, path: str, otherwise: Any = None) -> Any:
        """An option by its name in a configuration file, such as ``net.tls.mode``."""
        found: Any = self.options or {}
        for part in path.split("."):
            if not isinstance(found, Mapping) or part not in found:
                return otherwise
            found = found[part]
        return found


async def look(database: Database) -> ServerFacts:
    """Ask the server that takes writes."""
    asked = _Asked(database)
    build = await asked.of_admin("buildInfo")
    hello = await asked.of_admin("hello")
    options = await asked.if_allowed("options", "getCmdLineOpts", "getCmdLineOpts")
    parameters = await asked.if_allowed("parameters", "getParameter", {"getParameter": 1, **_PARAMETERS})
    concern = None
    if "setName" in hello:  # one alone has no such default
        concern = await asked.if_allowed("default write concern", "getDefaultRWConcern", "getDefaultRWConcern")
    log = await asked.if_allowed("startup warnings", "getLog", {"getLog": "startupWarnings"})
    status = await asked.if_allowed("statistics", "serverStatus", "serverStatus")
    profile = await asked.if_allowed("profiler", "find on system.profile", {"profile": -1}, ours=True)
    beside = await asked.if_allowed("users of other databases", "viewUser", {"usersInfo": {"forAllDBs": True}})
    return ServerFacts(
        version=build["version"],
        name=hello.get("me", ""),
        members=tuple(hello.get("hosts", ())),
        replica_set=hello.get("setName", ""),
        options=None if options is None else options["parsed"],
        parameters=parameters,
        default_write=None if concern is None else concern.get("defaultWriteConcern", {}).get("w", 1),
        warnings=None if log is None else log["log"],
        profiler=None if profile is None else Profiler(profile["was"], profile["slowms"]),
        **_statistics(status),
        users_beside=None if beside is None else _roles(beside["users"], database.name),
        hidden=asked.hidden,
    )


class _Asked:
    """Commands, and what was refused of them."""

    def __init__(self, database: Database) -> None:
        self._client = database.administration
        self._name = database.name
        self.hidden: dict[str, str] = {}

    async def of_admin(self, command: str) -> Mapping[str, Any]:
        with driver_errors():
            answer: Mapping[str, Any] = await self._client["admin"].command(command)
        return answer

    async def if_allowed(
        self, what: str, action: str, command: str | dict[str, Any], *, ours: bool = False
    ) -> Mapping[str, Any] | None:
        with driver_errors():
            try:
                answer: Mapping[str, Any] = await self._client[self._name if ours else "admin"].command(command)
            except OperationFailure as exc:
                if exc.code != _UNAUTHORIZED:
                    raise
                self.hidden[what] = action
                return None
        return answer


def _statistics(status: Mapping[str, Any] | None) -> dict[str, Any]:
    if status is None:
        return {}
    return {
        # The driver gives what commands answer without a zone.
        "started_at": status["localTime"].replace(tzinfo=UTC) - timedelta(seconds=status["uptime"]),
        "scans": status["metrics"].get("queryExecutor", {}).get("collectionScans", {}).get("total", 0),
    }


def _roles(users: Sequence[Mapping[str, Any]], ours: str) -> dict[str, list[str]]:
    return {
        f"{user['user']}@{user['db']}": [f"{role['role']}@{role['db']}" for role in user["roles"]]
        for user in users
        if user["db"] != ours
    }
