"""The bare driver, for measurements to compare with: no ODM, no translation of errors, a thread for each caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from pymongo import MongoClient, UpdateOne

from crm.database.query import Filter, Update


def upsert(key: Filter, row: Mapping[str, Any], *, server_time: str) -> tuple[Filter, Update]:
    """A bare upsert that creates a document with this key, and the server's own time in a field."""
    return {**key, "version": {"$lt": 1}}, {
        "$setOnInsert": row,
        "$currentDate": {server_time: {"$type": "timestamp"}},
    }


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

    def count(self) -> int:
        """How many documents there are."""
        return self._collection.count_documents({})

    def upsert(self, filter_: Filter, update: Update) -> None:
        """One upsert, acknowledged."""
        self._collection.update_one(filter_, update, upsert=True)

    def upsert_many(self, writes: Sequence[tuple[Filter, Update]]) -> None:
        """One unordered batch of upserts, acknowledged."""
        self._collection.bulk_write([UpdateOne(*write, upsert=True) for write in writes], ordered=False)
