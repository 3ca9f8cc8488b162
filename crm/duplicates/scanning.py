"""Looks through all customers for pairs who may be one, in the order of their ids, a few hundred at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from crm.clock import now
from crm.customers import service as customers
from crm.database.collection import Write
from crm.database.ids import derived_id
from crm.duplicates import queries
from crm.duplicates.documents import DuplicatePair
from crm.duplicates.pairing import MOST_SHARING, REASONS, Pair, pairs, score
from crm.duplicates.schemas import Reason

_TOGETHER: Final = 500
#: Customers that are read at a time because they share something: where there are more, fewer keys are asked for.
_MOST_READ: Final = 4 * _TOGETHER
Progress = Callable[[int, str], None]


@dataclass(slots=True)
class Scanned:
    """What a scan did.

    Attributes:
        customers: How many were looked at.
        pairs: How many pairs were found, those dismissed before included.
        crowded: What so many share that they are no pairs: what it is, and one of them.
    """

    customers: int = 0
    pairs: int = 0
    crowded: list[tuple[Reason, str]] = field(default_factory=list)


async def scan(after: str, progress: Progress) -> Scanned:
    """Look through the customers whose ids come behind ``after``; from the beginning, old pairs are removed at the end.

    Args:
        after: Id to go on behind; empty for all.
        progress: Called with how many were looked at, and the last one's id: where another scan can go on.
    """
    scanned, begun, start = Scanned(), now(), after
    crowded: dict[str, str] = {}
    while rows := await customers.match_keys_behind(after, _TOGETHER):
        keys = sorted({key for own in rows.values() for key in own} - crowded.keys())
        sharing = await _sharing(keys, crowded)
        found = pairs(sharing, rows.keys())
        await _store(found)
        after = next(reversed(rows))
        scanned.customers += len(rows)
        scanned.pairs += len(found)
        progress(scanned.customers, after)
    scanned.crowded = sorted((REASONS[key[:2]], example) for key, example in crowded.items())
    if not start:
        await DuplicatePair.stored().delete_many(queries.not_seen_since(begun))
    return scanned


async def _sharing(keys: list[str], crowded: dict[str, str]) -> dict[str, set[str]]:
    """Who has each key, where it is more than one; keys of too many are added to ``crowded``."""
    if not keys:
        return {}
    rows = await customers.sharing(keys, _MOST_READ)
    if len(rows) == _MOST_READ and len(keys) > 1:
        half = len(keys) // 2
        return await _sharing(keys[:half], crowded) | await _sharing(keys[half:], crowded)
    found: dict[str, set[str]] = {key: set() for key in keys}
    for customer_id, own in rows.items():
        for key in found.keys() & set(own):
            found[key].add(customer_id)
    for key in [key for key, some in found.items() if len(some) > MOST_SHARING]:
        crowded[key] = min(found.pop(key))
    return {key: some for key, some in found.items() if len(some) > 1}


async def _store(found: dict[Pair, list[Reason]]) -> None:
    moment = now()
    writes = [
        Write({"_id": pair_id(pair)}, queries.found(pair, reasons, score(reasons), moment), upsert=True)
        for pair, reasons in found.items()
    ]
    for start in range(0, len(writes), _TOGETHER):
        written = await DuplicatePair.stored().write_each(writes[start : start + _TOGETHER])
        for error in written.errors.values():
            raise error


def pair_id(customer_ids: Collection[str]) -> str:
    """The id of two customers' pair, whichever of them is named first."""
    return derived_id("dup", *sorted(customer_ids))
