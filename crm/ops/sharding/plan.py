"""What `crm db shard --plan` prints: keys, what keeps unique things unique, and MongoDB's commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crm.database.contract import Contract
from crm.ops.sharding.keys import SPREADS, Spread


@dataclass(frozen=True, slots=True)
class Planned:
    """A collection in the plan.

    Attributes:
        collection: Which.
        key: As MongoDB writes it; empty where it stays on one shard.
        why: This key.
        kept: Sentences on what stays unique by itself.
        claimed: Unique index → what has to take its place.
    """

    collection: str
    key: str
    why: str
    kept: tuple[str, ...]
    claimed: tuple[tuple[str, str], ...]


def planned(contract: Contract) -> list[Planned]:
    """Every collection, those that are spread first."""
    return [_planned(spread, contract) for spread in sorted(SPREADS, key=lambda spread: not spread.key)]


def commands(database: str) -> list[str]:
    """For `mongosh` on a mongos, in this order. The index is there before a collection with documents is spread."""
    lines = [f'sh.enableSharding("{database}")']
    for spread in SPREADS:
        if spread.key:
            collection, key = f'db.getSiblingDB("{database}").{spread.collection}', written(spread.key)
            lines.append(f"{collection}.createIndex({key})")
            lines.append(f'sh.shardCollection("{database}.{spread.collection}", {key})')
    return lines


def markdown(plan: Sequence[Planned]) -> str:
    """The table of docs/scaling.md."""
    lines = [
        "| collection | shard key | because | unique without more | to be claimed |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in plan:
        claimed = "<br>".join(f"`{name}`: {instead}" for name, instead in one.claimed)
        key = f"`{one.key}`" if one.key else "none"
        lines.append(f"| `{one.collection}` | {key} | {one.why} | {'<br>'.join(one.kept)} | {claimed} |")
    return "\n".join(lines) + "\n"


def written(key: Sequence[str]) -> str:
    """A shard key as MongoDB takes it."""
    parts = [f'"{name}": ' + ('"hashed"' if place == 0 else "1") for place, name in enumerate(key)]
    return "{" + ", ".join(parts) + "}" if parts else ""


def _planned(spread: Spread, contract: Contract) -> Planned:
    file = contract.indexes.get(spread.collection)
    unique = [index.name for index in (file.index if file else ()) if index.unique]
    if not spread.key:
        kept = [f"{name}: by MongoDB, on its one shard" for name in unique]
    elif spread.key == ("_id",):
        kept = ["_id: by MongoDB, equal ids are on one shard"]
    else:
        kept = [f"_id: {spread.ids}"]
    claimed = tuple((name, spread.unique[name]) for name in unique if spread.key)
    return Planned(spread.collection, written(spread.key), spread.why, tuple(kept), claimed)
