"""Reading a whole database as it was at one moment, and the oplog, as raw BSON: for backups, on a client of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_preferences import Primary
from pymongo.uri_parser import parse_uri

from crm.database.archive import time_of
from crm.database.failures import driver_errors
from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed, NotConfigured

_RAW: Final = CodecOptions(document_class=RawBSONDocument)
#: Documents that come in one answer, at most; 16 MiB is the server's own limit.
_TOGETHER: Final = 5_000
#: SnapshotTooOld, SnapshotUnavailable.
_NOT_KEPT: Final = frozenset({239, 246})


class NoSnapshot(BackupFailed):
    """The server no longer keeps what was there at that moment (300 seconds, unless it is told otherwise)."""


class NotInOplog(BackupFailed):
    """The oplog does not hold the entry that was to be followed: what came behind it cannot be known to be whole."""


class Source:
    """A server that is read.

    Args:
        uri: With the credentials of a user that may read what is asked for.
    """

    def __init__(self, uri: str) -> None:
        try:
            parse_uri(uri)
        except (PyMongoError, ValueError):
            raise NotConfigured(
                "CRM_MONGODB_URI is not a MongoDB URI (mongodb://host:27017/?replicaSet=rs0)."
            ) from None
        self._client: MongoClient[Any] = MongoClient(uri, tz_aware=True, appname="crm backup", retryReads=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def version(self) -> str:
        """The server's version."""
        with driver_errors():
            return str(self._client.server_info()["version"])

    def size(self, database: str) -> int:
        """Bytes of its documents."""
        with driver_errors():
            return int(self._client[database].command("dbStats")["dataSize"])

    def collections(self, database: str) -> list[str]:
        """The names of its collections, views and the server's own left out."""
        with driver_errors():
            found = self._client[database].list_collections(filter={"type": "collection"})
            return sorted(one["name"] for one in found if not one["name"].startswith("system."))

    @contextmanager
    def without_expiry(self) -> Iterator[None]:
        """Nothing expires on that server within the block: what was restored is compared as it was saved."""
        admin = self._client["admin"]
        with driver_errors():
            before = admin.command("getParameter", ttlMonitorEnabled=1)["ttlMonitorEnabled"]
            admin.command("setParameter", ttlMonitorEnabled=False)
        try:
            yield
        finally:
            with driver_errors():
                admin.command("setParameter", ttlMonitorEnabled=before)

    def holds_anything(self, database: str) -> bool:
        """Whether there is a collection or a view of that database."""
        with driver_errors():
            return bool(self._client[database].list_collection_names())

    def drop(self, database: str, *, rights: bool = False) -> None:
        """Remove the whole database; with its users and roles, where that is asked for."""
        with driver_errors():
            self._client.drop_database(database)
            for command in ("dropAllUsersFromDatabase", "dropAllRolesFromDatabase") if rights else ():
                self._client[database].command(command)

    def documents(self, database: str, collection: str, at: OplogTime | None = None) -> Iterator[list[bytes]]:
        """Every document as it lies there, some thousand at a time; ``at`` a moment of the past, or as it is now.

        By commands, because the driver's own snapshot sessions choose the moment themselves.

        Raises:
            NoSnapshot: That moment is too long ago.
        """
        concern: dict[str, Any] = {"level": "majority"}
        if at is not None:
            concern = {"level": "snapshot", "atClusterTime": Timestamp(at.seconds, at.ordinal)}
        db = self._client[database]
        with driver_errors(), self._client.start_session(causal_consistency=False) as session:
            try:
                first = {"find": collection, "batchSize": _TOGETHER, "readConcern": concern, "noCursorTimeout": False}
                cursor = db.command(first, session=session, codec_options=_RAW)["cursor"]
                yield [bytes(document.raw) for document in cursor["firstBatch"]]
                while cursor["id"]:
                    more = {"getMore": cursor["id"], "collection": collection, "batchSize": _TOGETHER}
                    cursor = db.command(more, session=session, codec_options=_RAW)["cursor"]
                    yield [bytes(document.raw) for document in cursor["nextBatch"]]
            except OperationFailure as exc:
                if exc.code in _NOT_KEPT:
                    raise NoSnapshot(f"What was there at {at} is no longer kept by the server.") from exc
                raise

    def oplog_ends(self) -> tuple[OplogTime, OplogTime]:
        """The oldest and the newest entry of the oplog.

        Raises:
            BackupFailed: The server is no member of a replica set.
        """
        oplog = self._client["local"].get_collection("oplog.rs", codec_options=_RAW)
        with driver_errors():
            ends = [oplog.find_one(sort=[("$natural", way)]) for way in (1, -1)]
        if ends[0] is None or ends[1] is None:
            raise BackupFailed("The server has no oplog: it must be a member of a replica set (one is enough).")
        return time_of(ends[0].raw), time_of(ends[1].raw)

    def majority_time(self) -> OplogTime:
        """The newest entry of the oplog that a majority of the members has: none before it is ever rolled back."""
        with driver_errors():
            said = self._client["admin"].command("hello")
        try:
            return OplogTime(*_pair(said["lastWrite"]["majorityOpTime"]["ts"]))
        except KeyError:
            raise BackupFailed("The server has no oplog: it must be a member of a replica set.") from None

    def oplog(self, after: OplogTime, last: OplogTime) -> Iterator[bytes]:
        """The entries behind one, up to another that a majority has.

        Raises:
            NotInOplog: The first is not there: the oplog begins later, or that entry was rolled back.
        """
        entries = self._entries(after, last)
        first = next(entries, None)
        if first is None or time_of(first) != after:
            raise NotInOplog(f"The oplog does not hold {after}.")
        return entries

    def _entries(self, first: OplogTime, last: OplogTime) -> Iterator[bytes]:
        # Of the primary, whatever the URI prefers: another member may be behind, and what it lacks would be missing.
        oplog = self._client["local"].get_collection("oplog.rs", codec_options=_RAW, read_preference=Primary())
        between = {"ts": {"$gte": Timestamp(*first), "$lte": Timestamp(*last)}}
        with driver_errors():
            for entry in oplog.find(between, sort=[("$natural", 1)]):
                yield bytes(entry.raw)


def _pair(timestamp: Any) -> tuple[int, int]:
    return timestamp.time, timestamp.inc
