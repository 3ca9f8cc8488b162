"""Which stored documents break the contract: written around it, restored, or older than a rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bson import MinKey

from crm.database.collection import Collection
from crm.database.contract import CollectionContract
from crm.database.query import Filter, Query

#: How a broken schema is called; a broken rule is called by its sentence.
SCHEMA: Final = "the schema"
_ID: Final = ("_id",)


@dataclass(frozen=True, slots=True)
class Looked:
    """One look.

    Attributes:
        count: Documents looked at.
        last: Id to go on behind; None at the end.
        broken: What is broken → ids of those that break it.
    """

    count: int
    last: str | None
    broken: Mapping[str, Sequence[Any]] = field(default_factory=dict)


async def look(collection: Collection, contract: CollectionContract, after: str, limit: int) -> Looked:
    """Compare the documents whose ids come next with what is declared."""
    ids = [row["_id"] for row in await collection.find(Query({"_id": {"$gt": after}}, (("_id", 1),), limit, _ID))]
    if not ids:
        return Looked(0, None)
    schema, *rules = contract.validator()["$and"]
    chunk = {"_id": {"$gt": after, "$lte": ids[-1]}}
    malformed = await _ids(collection, {**chunk, "$nor": [schema]})
    broken: dict[str, Sequence[Any]] = {SCHEMA: malformed} if malformed else {}
    # A rule reads what the schema promises: on a text in place of an amount it would fail, and the query with it.
    judged = [_unless(malformed, rule) for rule in rules]
    if violators := await _ids(collection, {**chunk, "$nor": [{"$and": judged}]}):
        for rule in rules:
            if found := await _ids(collection, {"_id": {"$in": violators}, "$nor": [rule]}):
                broken[_name(rule)] = found
    return Looked(len(ids), ids[-1] if len(ids) == limit else None, broken)


async def strangers(collection: Collection, limit: int) -> tuple[int, list[Any]]:
    """Documents whose id is no text, which ``look`` passes over: how many, and some of them."""
    filter_ = {"_id": {"$gte": MinKey(), "$not": {"$type": "string"}}}
    some = [row["_id"] for row in await collection.find(Query(filter_, limit=limit, projection=_ID))]
    return (await collection.count(filter_, at_most=2**31 - 1) if some else 0), some


async def _ids(collection: Collection, filter_: Filter) -> list[Any]:
    return [row["_id"] for row in await collection.find(Query(filter_, projection=_ID))]


def _unless(malformed: list[Any], rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rule, not asked of some documents: ``$cond`` evaluates one branch only, ``$and`` in a query any first."""
    if not malformed:
        return rule
    return {"$expr": {"$cond": [{"$in": ["$_id", {"$literal": malformed}]}, True, rule["$expr"]]}}


def _name(rule: Mapping[str, Any]) -> str:
    return str(rule["$expr"]["$let"]["vars"]["rule"]["$literal"])
