"""PyMongo's own asynchronous driver, as ``client`` offers it: with Beanie 2."""

from __future__ import annotations

from typing import Any, Final

from pymongo import AsyncMongoClient as Client
from pymongo.asynchronous.client_session import AsyncClientSession as Session
from pymongo.asynchronous.collection import AsyncCollection as MongoCollection
from pymongo.asynchronous.database import AsyncDatabase as MongoDatabase

__all__ = ["DRIVER", "Client", "MongoCollection", "MongoDatabase", "aggregated", "close", "list_of_indexes", "session"]

DRIVER: Final = "PyMongo Async"
Row = dict[str, Any]


async def aggregated(collection: MongoCollection[Row], pipeline: Any, **options: Any) -> list[Row]:
    """All results of a pipeline."""
    return await (await collection.aggregate(pipeline, **options)).to_list()


async def list_of_indexes(collection: MongoCollection[Row]) -> list[Any]:
    """What the server says of each index."""
    return await (await collection.list_indexes()).to_list()


async def session(client: Client[Row]) -> Session:
    """A new session; it ends with the ``async with`` that it is used in."""
    return client.start_session()


async def close(client: Client[Row]) -> None:
    """Close a client and its connections."""
    await client.close()
