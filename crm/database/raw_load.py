"""The bare driver, for measurements to compare with: no ODM, no translation of errors, a thread for each caller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

from pymongo import MongoClient, UpdateOne
from pymongo.errors import BulkWriteError

from crm.database.failures import duplicate_ids
from crm.database.query import Filter, Update
from crm.errors import OperatorError


def upsert(key: Filter, row: Mapping[str, Any], *, server_time: str) -> tuple[Filter, Update]:
    """A bare upsert that creates a document with this key, and the server's own time in a field."""
    return {**key, "version": {"$lt": 1}}, {
        "$setOnInsert": row,
        "$currentDate": {server_time: {"$type": "timestamp"}},
    }


#: Hundredths of the cache that changed pages may take: from the first on they are written out, from the second on
#: writers wait for that. Of what is changed in memory alone by itself; 0 is half of the others.
_WHILE_LOADING: Final = {"dirty_target": 50, "dirty_trigger": 70, "updates_target": 50, "updates_trigger": 70}
_ALWAYS: Final = {"dirty_target": 5, "dirty_trigger": 20, "updates_target": 0, "updates_trigger": 0}
#: Seconds between checkpoints, and for how long what was there before a change is kept for readers of the past.
_SELDOM: Final = {"syncdelay": 1_800.0, "minSnapshotHistoryWindowInSeconds": 0}


@contextmanager
def eased_for_loading(uri: str) -> Iterator[None]:
    """MongoDB keeps what changes in its cache within the block, for millions of inserts on end.

    Keys of names and addresses come in no order, so that every insert changes pages of the indexes anywhere: with the
    usual 5 % of a cache of 3 GB, at 400,000 customers pages were written out for every new document but one, and
    each cost 290 µs of MongoDB's processor time in place of 105 (measured on 6.0.5). A checkpoint a minute, which
    writes them out whatever room there is, took two fifths of its time. What is durable is the journal.

    Args:
        uri: Of a MongoDB user who may do this.
    """
    with MongoClient[dict[str, Any]](uri) as client:
        before = client.admin.command({"getParameter": 1, **dict.fromkeys(_SELDOM, 1)})
        _evict(client, _WHILE_LOADING)
        _set(client, _SELDOM)
        try:
            yield
        finally:
            _evict(client, _ALWAYS)
            _set(client, {name: before[name] for name in _SELDOM})


def _evict(client: MongoClient[dict[str, Any]], config: Mapping[str, int]) -> None:
    text = ",".join(f"eviction_{name}={value}" for name, value in config.items())
    client.admin.command("setParameter", 1, wiredTigerEngineRuntimeConfig=text)


def _set(client: MongoClient[dict[str, Any]], parameters: Mapping[str, float]) -> None:
    for name, value in parameters.items():
        client.admin.command({"setParameter": 1, name: value})


class RawWriter:
    """Writes to one collection with journaled majority writes, as the API does."""

    def __init__(self, uri: str, database: str, collection: str) -> None:
        self._client: MongoClient[dict[str, Any]] = MongoClient(uri, w="majority", journal=True)
        self._collection = self._client[database][collection]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def insert_many(self, rows: Sequence[dict[str, Any]]) -> None:
        """One unordered batch of new documents, acknowledged."""
        self._collection.insert_many(rows, ordered=False)

    def insert_new(self, rows: Sequence[dict[str, Any]]) -> int:
        """One unordered batch of documents, of which some may be there already; returns how many were not.

        Raises:
            OperatorError: One breaks the contract.
        """
        try:
            self._collection.insert_many(rows, ordered=False)
        except BulkWriteError as exc:
            present = duplicate_ids(exc)
            if present is None or any(error.get("keyPattern") != {"_id": 1} for error in exc.details["writeErrors"]):
                name = self._collection.name
                raise OperatorError(f"MongoDB refuses what was made for {name}: {_first_error(exc)}.") from None
            return len(rows) - len(present)
        return len(rows)

    def find_one(self, filter_: Filter) -> dict[str, Any] | None:
        """The first document that matches."""
        return self._collection.find_one(filter_)

    def is_empty(self) -> bool:
        """Whether there is no document."""
        return self._collection.find_one({}, ("_id",), sort=[("_id", 1)]) is None

    def count_between(self, first: str, last: str) -> int:
        """How many documents there are with ids from the first to the last."""
        return self._collection.count_documents({"_id": {"$gte": first, "$lte": last}})

    def count(self) -> int:
        """How many documents there are."""
        return self._collection.count_documents({})

    def upsert(self, filter_: Filter, update: Update) -> None:
        """One upsert, acknowledged."""
        self._collection.update_one(filter_, update, upsert=True)

    def upsert_many(self, writes: Sequence[tuple[Filter, Update]]) -> None:
        """One unordered batch of upserts, acknowledged."""
        self._collection.bulk_write([UpdateOne(*write, upsert=True) for write in writes], ordered=False)


def _first_error(error: BulkWriteError) -> str:
    errors = (error.details or {}).get("writeErrors") or [{}]
    return str(errors[0].get("errmsg", "no reason given"))
