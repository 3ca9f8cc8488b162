"""Makes a new, a half set up or a moved mongod a primary that has a root user, over a direct connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure

from crm.errors import EmbeddedServerError

REPLICA_SET: Final = "rs0"
# What MongoDB answers on the way (error_codes.yml).
UNAUTHORIZED, AUTHENTICATION_FAILED, ALREADY_INITIALIZED = 13, 18, 23
# mongod asks whoever listens on the port of the stored configuration whether that is itself, and blocks until it has
# an answer: 31 s if something listens there that never answers.
ANSWER_TIMEOUT_MS = 45_000


@dataclass(frozen=True, slots=True)
class EmbeddedAddress:
    """Where the server listens.

    Attributes:
        members: ``host:port`` of each member.
        replica_set: Its name.
        authority: Certificates (PEM) of whom we trust to have signed the server's; None is without TLS.
    """

    members: tuple[str, ...]
    replica_set: str = REPLICA_SET
    authority: Path | None = None

    @property
    def port(self) -> int:
        """Of the first member."""
        return int(self.members[0].rpartition(":")[2])

    def options(self) -> dict[str, str]:
        """What a client has to be told besides where and who."""
        tls = {} if self.authority is None else {"tls": "true", "tlsCAFile": str(self.authority)}
        return {"replicaSet": self.replica_set, **tls}

    def plain(self) -> str:
        """The connection string without credentials, as the API gets it."""
        return f"mongodb://{','.join(self.members)}/?{urlencode(self.options())}"

    def uri(self, username: str, password: str, database: str, auth_source: str | None = None) -> str:
        """The connection string of one user, who is looked up in ``auth_source``, by default in ``database``."""
        # Not quote_plus: only some drivers read "+" as a space.
        user, secret, path, source = (
            quote(t, safe="") for t in (username, password, database, auth_source or database)
        )
        query = f"authSource={source}&{urlencode(self.options())}"
        return f"mongodb://{user}:{secret}@{','.join(self.members)}/{path}?{query}"


def secure(address: EmbeddedAddress, username: str, password: str, pause: Callable[[], None]) -> None:
    """Do whatever earlier starts of a single member have not done: initiate or move the set, create the root user.

    Args:
        address: Where mongod listens already; of one member.
        username: The root user's name.
        password: The root user's password, which must be on disk already.
        pause: Sleeps a little; raises when there is nothing to wait for any more.

    Raises:
        EmbeddedServerError: There is a root user, with another password.
    """
    while True:
        try:
            _attempt(address, username, password, pause)
        except AutoReconnect:  # mongod drops its connections when its role changes; each step may be repeated
            pause()
        else:
            return


def _attempt(address: EmbeddedAddress, username: str, password: str, pause: Callable[[], None]) -> None:
    (member,) = address.members
    with connect(address, member, username, password) as client:
        try:
            client.admin.command("ping")
        except OperationFailure as error:
            if error.code != AUTHENTICATION_FAILED:
                raise
        else:
            _make_primary(client, address, pause)
            return
    # As long as there is no user, mongod lets a client on loopback set up the replica set and create the first one.
    with connect(address, member) as client:
        try:
            _make_primary(client, address, pause)
            create_root(client, username, password)
        except OperationFailure as error:
            if error.code != UNAUTHORIZED:
                raise
            raise EmbeddedServerError(
                "The data belong to a root user with another password than embedded.json says; "
                "restore that file, or start with a new directory."
            ) from error


def connect(
    address: EmbeddedAddress, member: str, username: str | None = None, password: str | None = None
) -> MongoClient[dict[str, Any]]:
    """A direct connection to one member, because that works in every state of the replica set."""
    tls: dict[str, Any] = {name: value for name, value in address.options().items() if name.startswith("tls")}
    return MongoClient(
        member,
        directConnection=True,
        **tls,
        serverSelectionTimeoutMS=5_000,
        socketTimeoutMS=ANSWER_TIMEOUT_MS,
        username=username,
        password=password,
    )


def _make_primary(client: MongoClient[dict[str, Any]], address: EmbeddedAddress, pause: Callable[[], None]) -> None:
    while not (hello := client.admin.command("hello"))["isWritablePrimary"]:
        if hello.get("isreplicaset"):  # never initiated, or the stored configuration names another port
            _configure(client, address)
        pause()


def _configure(client: MongoClient[dict[str, Any]], address: EmbeddedAddress) -> None:
    config = {
        "_id": address.replica_set,
        "version": 1,  # when it is forced, mongod makes it larger than the stored one
        "members": [{"_id": 0, "host": address.members[0]}],
        "settings": {"electionTimeoutMillis": 500},  # there is nobody else to hear from
    }
    try:
        client.admin.command("replSetInitiate", config)
    except OperationFailure as error:
        if error.code != ALREADY_INITIALIZED:
            raise
        client.admin.command("replSetReconfig", config, force=True)


def create_root(client: MongoClient[dict[str, Any]], username: str, password: str) -> None:
    """Create the first user, which also ends what a client without a password may do."""
    client.admin.command(
        "createUser",
        username,
        pwd=password,
        roles=["root"],
        mechanisms=["SCRAM-SHA-256"],
        writeConcern={"w": "majority", "j": True},
    )
