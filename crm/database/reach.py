"""How many shards a read goes to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from crm.database.query import Filter, Pipeline, Query

#: Collection → the field of its shard key that is hashed; those that are not spread are left out.
Keys = Mapping[str, str]


class Reach(IntEnum):
    """Of one read, from the cheapest."""

    ONE = 1  # the shard that has the key; of a collection that is not spread, the one that has it
    SEVERAL = 2  # as many as there are values, at most
    ALL = 3


def reach(collection: str, read: Query | Filter | Pipeline, keys: Keys) -> Reach:
    """How many shards a read of a collection goes to, by the keys that these are spread by."""
    if isinstance(read, Query):
        return _of_filter(collection, read.filter, keys)
    if isinstance(read, Mapping):
        return _of_filter(collection, read, keys)
    return _of_pipeline(collection, read, keys)


def _of_filter(collection: str, filter_: Filter, keys: Keys) -> Reach:
    return _pinned(keys[collection], filter_) if collection in keys else Reach.ONE


def _of_pipeline(collection: str, pipeline: Sequence[Mapping[str, Any]], keys: Keys) -> Reach:
    first = pipeline[0].get("$match", {}) if pipeline else {}
    also = [stage["$unionWith"] for stage in pipeline if "$unionWith" in stage]
    beside = [_of_pipeline(one["coll"], one["pipeline"], keys) for one in also]
    return max([_of_filter(collection, first, keys), *beside])


def _pinned(field: str, filter_: Filter) -> Reach:
    """What a filter says of the field that is hashed: only an equality or a list of values leads to shards."""
    found = [_of_value(filter_[field])] if field in filter_ else [Reach.ALL]
    found += [_pinned(field, part) for part in filter_.get("$and", ())]
    if "$or" in filter_:
        ways = [_pinned(field, way) for way in filter_["$or"]]
        worst = max(ways)
        found.append(Reach.SEVERAL if len(ways) > 1 and worst is Reach.ONE else worst)
    return min(found)


def _of_value(value: Any) -> Reach:
    if not isinstance(value, Mapping):
        return Reach.ONE
    if "$eq" in value:
        return Reach.ONE
    if "$in" in value:
        return Reach.SEVERAL
    return Reach.ALL
