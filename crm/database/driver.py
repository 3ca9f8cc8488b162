"""Connections: one client for each role, and who acts.

Every request runs on the client of its principal's role, logged in as that MongoDB user: a guard that somebody forgot
is then still refused by the server. Which role acts is a ContextVar that middleware (or ``acting_as``) sets.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from beanie import init_beanie
from pymongo import ReadPreference
from pymongo.errors import PyMongoError
from pymongo.server_api import ServerApi
from pymongo.uri_parser import parse_uri

from crm.database import client as drivers
from crm.database.client import Client
from crm.database.collection import Collection, Row
from crm.database.command_spans import CommandSpans
from crm.database.failures import driver_errors
from crm.database.pools import PoolFigures
from crm.errors import CrmError, NotConfigured, OperatorError
from crm.identity import API_ROLES, Role

if TYPE_CHECKING:
    from crm.config import Settings
    from crm.database.client import MongoCollection, MongoDatabase
    from crm.database.documents import CrmDocument
    from crm.tracing import Traces

T = TypeVar("T")

#: Write and read guarantees, said aloud instead of trusting the server's defaults (which differ between versions).
_DURABLE: Final[dict[str, Any]] = {
    "w": "majority",
    "journal": True,
    "retryWrites": True,
    "readConcernLevel": "majority",
}
#: A member that is cut off or stands still closes no connection. Each says every second that it is there; one that has
#: not for five is left alone, and what waited for it goes to the next primary. The driver's own are 10 and 20 seconds.
_WATCHFUL: Final[dict[str, Any]] = {"heartbeatFrequencyMS": 1_000, "connectTimeoutMS": 4_000}
#: The primary, and while there is none another member. Motor's types want the class of all preferences.
_READS_ON: Final[Any] = ReadPreference.PRIMARY_PREFERRED
_TRANSIENT: Final = "TransientTransactionError"
_LONGEST_SELECTION_MS: Final = 10_000


class Database:
    """The store, with one client for each role.

    Args:
        clients: The client of each role; several roles may share one (the command line, mongomock).
        name: The database's name.
        views: Role → collection → the view that this role reads instead.
        administration: The admin's client outside the Stable API, for ``buildInfo`` and the comparison of roles.
        timeout_ms: Longest time for one operation.
        group_commit: Whether single writes that come at the same time are written together.
        traces: Makes spans of batches, where it is wanted.

    Attributes:
        kept: What features keep in this process for as long as the connection lives, by a key of theirs.
    """

    def __init__(
        self,
        clients: Mapping[Role, Client[Row]],
        name: str,
        *,
        views: Mapping[Role, Mapping[str, str]] | None = None,
        administration: Client[Row] | None = None,
        timeout_ms: int = 10_000,
        group_commit: bool = True,
        traces: Traces | None = None,
    ) -> None:
        self.clients = dict(clients)
        self.name = name
        self.views = views or {}
        self.timeout_ms = timeout_ms
        self.group_commit = group_commit
        self.traces = traces
        self.kept: dict[Any, Any] = {}
        self.administration = administration or self.clients[Role.ADMIN]
        self._acting = {(role, reads): Acting(self, role, reads) for role in Role for reads in (False, True)}
        self._collections: dict[tuple[Role, str, bool, bool], MongoCollection[Row]] = {}
        self._replaced: list[Client[Row]] = []

    @classmethod
    def connect(
        cls, settings: Settings, *, views: Mapping[Role, Mapping[str, str]], traces: Traces | None = None
    ) -> Database:
        """One client for each role of the API, each signed in as its own MongoDB user. Connects on first use."""
        clients = {role: _client_of(settings, role, traces) for role in API_ROLES}
        return cls(
            clients,
            settings.mongodb_database,
            views=views,
            administration=_client_of(settings, Role.ADMIN, traces, stable=False),
            timeout_ms=settings.mongodb_timeout_ms,
            group_commit=settings.group_commit,
            traces=traces,
        )

    @classmethod
    def administrative(cls, uri: str, name: str) -> Database:
        """One plain client for every role: for the command line, which acts with the credentials of its URI.

        Without a limit on an operation: building an index takes as long as there are documents.
        """
        client = _client(uri, timeout_ms=None)
        return cls(dict.fromkeys(Role, client), name)

    def acting(self, role: Role, reads: bool = False) -> Acting:
        """What ``act`` sets: made once, since it is set twice for each request."""
        return self._acting[role, reads]

    def raw(self, role: Role, *, apart: bool = False) -> MongoDatabase[Row]:
        """The driver's database of a role; ``apart`` is the one beside ours, which is not dumped with it."""
        return self.clients[role][name_apart(self.name) if apart else self.name]

    def raw_collection(
        self, role: Role, name: str, *, apart: bool = False, reads: bool = False
    ) -> MongoCollection[Row]:
        """The driver's collection as a role sees it: a view where the role reads one.

        Args:
            role: Whose client.
            name: Of the collection.
            apart: In the database beside ours.
            reads: Where there is no primary at the moment, what is read may come from another member.
        """
        key = (role, name, apart, reads)
        found = self._collections.get(key)
        if found is None:
            seen_as = self.views.get(role, {}).get(name, name)
            found = self.raw(role, apart=apart)[seen_as]
            if reads:
                found = found.with_options(read_preference=_READS_ON)
            self._collections[key] = found
        return found

    async def ping(self) -> None:
        """Ask the server for a sign of life.

        Raises:
            Unavailable: None came.
        """
        with driver_errors():
            await self.clients[Role.AUTH].admin.command("ping")

    async def initialise(self, documents: Sequence[type[CrmDocument]]) -> None:
        """Tell Beanie its documents. Issues no DDL.

        On the plain client: Beanie asks ``buildInfo``, which the strict Stable API refuses.
        """
        with driver_errors():
            await init_beanie(
                database=self.administration[self.name], document_models=list(documents), skip_indexes=True
            )

    async def renew(self, settings: Settings, roles: Sequence[Role]) -> None:
        """Sign these roles in with other credentials: new operations take new clients, those under way end on theirs.

        The clients of before are closed by ``close_replaced``, once no operation can be under way on them.

        Raises:
            NotConfigured: MongoDB refuses the credentials of one; nothing has changed then.
            Unavailable: MongoDB cannot be reached; nothing has changed then.
        """
        clients = {role: _client_of(settings, role, self.traces) for role in roles}
        administration = _client_of(settings, Role.ADMIN, self.traces, stable=False) if Role.ADMIN in roles else None
        made = [*clients.values(), *filter(None, [administration])]
        try:
            with driver_errors():
                for client in made:
                    await client[self.name].command("ping")
        except BaseException:
            for client in made:
                await drivers.close(client)
            raise
        self._replaced += [self.clients[role] for role in roles]
        self.clients.update(clients)
        if administration is not None:
            self._replaced.append(self.administration)
            self.administration = administration
        self._collections.clear()

    async def close_replaced(self) -> None:
        """Close the clients that ``renew`` has replaced so far."""
        while self._replaced:
            await drivers.close(self._replaced.pop())

    async def close(self) -> None:
        """Close every client."""
        await self.close_replaced()
        # By identity: to PyMongo, clients of one server are equal, whoever is signed in.
        for client in {id(client): client for client in (self.administration, *self.clients.values())}.values():
            await drivers.close(client)


def _client_of(settings: Settings, role: Role, traces: Traces | None, *, stable: bool = True) -> Client[Row]:
    """A client that is signed in as the MongoDB user of a role; connects on first use."""
    credentials = settings.credentials(role)
    if credentials is None:
        raise NotConfigured(f"Set CRM_MONGODB_PASSWORD_{role.value.upper()}.")
    user, password = credentials
    spans = [] if traces is None else [CommandSpans(traces)]
    # Version 1, strict: what works on the bundled 6.0 then works on 8.x alike.
    options = {"server_api": ServerApi("1", strict=True, deprecation_errors=True)} if stable else {}
    return _client(
        settings.uri(),
        timeout_ms=settings.mongodb_timeout_ms,
        username=user,
        password=password,
        authSource=settings.mongodb_database,
        event_listeners=[PoolFigures(role.value if stable else "administration"), *spans],
        **options,
    )


def name_apart(database: str) -> str:
    """The database beside ours, for what must not be dumped and restored with it (the erasure ledger)."""
    return f"{database}_ledger"


def _client(uri: str, *, timeout_ms: int | None, **options: Any) -> Client[Row]:
    try:
        parsed = parse_uri(uri)
    except (PyMongoError, ValueError):
        # Not chained: the driver's text repeats the URI, password included.
        raise NotConfigured("CRM_MONGODB_URI is not a MongoDB URI (mongodb://host:27017/?replicaSet=rs0).") from None
    given = {key.lower() for key in parsed["options"]}
    # timeoutMS rules over the driver's own limit on finding a server; this one holds where there is none.
    defaults = {**_DURABLE, **_WATCHFUL, "serverSelectionTimeoutMS": timeout_ms or _LONGEST_SELECTION_MS}
    chosen = {key: value for key, value in defaults.items() if key.lower() not in given}
    return Client(uri, tz_aware=True, appname="crm", timeoutMS=timeout_ms, **chosen, **options)


@dataclass(frozen=True, slots=True)
class Acting:
    """On whose client the present task works.

    Attributes:
        database: Which one.
        role: Whose client.
        reads: Whether it only reads, and so may go on while there is no primary: nothing is decided by what it sees.
    """

    database: Database
    role: Role
    reads: bool = False


_acting: ContextVar[Acting] = ContextVar("acting")


def act(database: Database, role: Role, *, reads: bool = False) -> None:
    """From here on, this task and those it starts work on that role's client. For middleware."""
    _acting.set(database.acting(role, reads))


@contextmanager
def acting_as(database: Database, role: Role, *, reads: bool = False) -> Iterator[None]:
    """Work on a role's client within the block."""
    token = _acting.set(database.acting(role, reads))
    try:
        yield
    finally:
        _acting.reset(token)


@contextmanager
def acting_within(role: Role) -> Iterator[None]:
    """Work on another role's client of the same database within the block."""
    acting = present()
    with acting_as(acting.database, role, reads=acting.reads):
        yield


def present() -> Acting:
    """Who acts now.

    Raises:
        OperatorError: Nobody: the code was reached around the middleware.
    """
    try:
        return _acting.get()
    except LookupError:
        raise OperatorError("Nobody acts: wrap the call in acting_as(database, role).") from None


def collection(name: str, *, apart: bool = False) -> Collection:
    """A collection on the client of whoever acts."""
    acting = present()
    return Collection(acting.database.raw_collection(acting.role, name, apart=apart, reads=acting.reads))


async def run_transaction(work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    """Run ``work(session)`` as one transaction, again where the server asks for it.

    For rare acts that span documents. Never swallow AlreadyExists inside ``work``: the server has aborted by then, and
    the driver would repeat it until the timeout (823 attempts in 4 s were measured).
    """
    acting = present()

    async def attempt(session: Any) -> T:
        try:
            return await work(session)
        except CrmError as exc:
            # The driver repeats what the server calls transient (a write conflict), but knows only its own errors.
            if isinstance(exc.__cause__, PyMongoError) and exc.__cause__.has_error_label(_TRANSIENT):
                raise exc.__cause__ from None
            raise

    with driver_errors():
        async with await drivers.session(acting.database.clients[acting.role]) as session:
            result: T = await session.with_transaction(attempt)
            return result
