"""Motor, as ``client`` offers it: with Beanie 1."""

from __future__ import annotations

from collections.abc import Awaitable
from importlib.metadata import version
from typing import Any, Final

from motor.motor_asyncio import AsyncIOMotorClient as Client
from motor.motor_asyncio import AsyncIOMotorClientSession as Session
from motor.motor_asyncio import AsyncIOMotorCollection as MongoCollection
from motor.motor_asyncio import AsyncIOMotorDatabase as MongoDatabase

__all__ = ["DRIVER", "Client", "MongoCollection", "MongoDatabase", "aggregated", "close", "list_of_indexes", "session"]

DRIVER: Final = f"Motor {version('motor')}"
Row = dict[str, Any]


def aggregated(collection: MongoCollection[Row], pipeline: Any, **options: Any) -> Awaitable[list[Row]]:
    """All results of a pipeline."""
    return collection.aggregate(pipeline, **options).to_list(length=None)


def list_of_indexes(collection: MongoCollection[Row]) -> Awaitable[list[Any]]:
    """What the server says of each index."""
    return collection.list_indexes().to_list(length=None)


async def session(client: Client[Row]) -> Session:
    """A new session; it ends with the ``async with`` that it is used in."""
    return await client.start_session()


async def close(client: Client[Row]) -> None:
    """Close a client and its connections."""
    client.close()
