"""The one change of the contract that the service makes while it runs: properties of one open field, and their indexes.

``apply`` compares everything with what is declared; this changes nothing but what an admin has just defined, so that a
process of another release cannot undo a release's own rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pymongo
from bson import MinKey
from pymongo.errors import OperationFailure

from crm.database.apply_collections import branches_of
from crm.database.client import list_of_indexes
from crm.database.failures import driver_errors
from crm.database.indexes import Index

if TYPE_CHECKING:
    from crm.database.steps import DB

#: An index over a million customers takes seconds; ten minutes is how long an admin might wait.
_LONGEST_SECONDS: Final = 600
_COUNT_TO: Final = 10_000
_NOT_FOUND: Final = 27


async def shape(
    db: DB, collection: str, field: str, properties: Mapping[str, Any], prefix: str, indexes: Sequence[Index]
) -> None:
    """Make MongoDB hold a field's properties to these schemas, and have these of the indexes that are called so.

    Args:
        db: On a client that may do this.
        collection: Whose validator.
        field: The field that other properties may be in.
        properties: Schema of each property by its name; those that are not among them are free.
        prefix: How the names of the indexes in question begin; whatever else is called so is dropped.
        indexes: Those that there should be.
    """
    with _patience():
        (live,) = [c async for c in await db.list_collections(filter={"name": collection})]
        validator = live["options"]["validator"]
        if {_shaped(branch, field, properties) for branch in branches_of(validator)} - {False}:
            await db.command("collMod", collection, validator=validator)
        present = {index["name"] for index in await list_of_indexes(db[collection])}
        for index in indexes:
            if index.name not in present:
                await db[collection].create_index(index.key_pattern(), name=index.name, **index.options())
        wanted = {index.name for index in indexes}
        for name in present - wanted:
            if name.startswith(prefix):
                await _drop(db, collection, name)


def _shaped(validator: Mapping[str, Any], field: str, properties: Mapping[str, Any]) -> bool:
    """Change a validator in place; returns whether that was needed."""
    schema = next(clause["$jsonSchema"] for clause in validator["$and"] if "$jsonSchema" in clause)
    inner = schema["properties"][field]
    if inner.get("properties", {}) == properties:
        return False
    inner.pop("properties", None)
    inner |= {"properties": dict(properties)} if properties else {}
    return True


async def _drop(db: DB, collection: str, name: str) -> None:
    try:
        await db[collection].drop_index(name)
    except OperationFailure as exc:
        if exc.code != _NOT_FOUND:  # another process was quicker
            raise


async def violators(
    db: DB, collection: str, field: str, properties: Mapping[str, Any], *, examples: int
) -> tuple[int, list[str]]:
    """The documents whose field has other properties: how many (counted up to 10,000), and some of them."""
    schema = {"$jsonSchema": {"properties": {field: {"properties": dict(properties)}}}}
    there = [{f"{field}.{name}": {"$exists": True}} for name in properties]
    # The range on _id makes it an index scan, which a server with notablescan allows.
    wrong = {"_id": {"$gte": MinKey()}, "$or": there, "$nor": [schema]}
    with _patience():
        some = [str(row["_id"]) async for row in db[collection].find(wrong, {"_id": 1}).limit(examples)]
        return (await db[collection].count_documents(wrong, limit=_COUNT_TO) if some else 0), some


@contextmanager
def _patience() -> Iterator[None]:
    with driver_errors(), pymongo.timeout(_LONGEST_SECONDS):
        yield
