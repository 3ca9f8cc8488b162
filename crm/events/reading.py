"""Reads of browsing events: by identity, however many a customer has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from crm.database.collection import Row
from crm.database.paging import COUNT_CAP, Page, PageRequest, Position, after, page_of
from crm.database.query import Query
from crm.events import queries
from crm.events.documents import Event

#: A sort by time merges one scan for each identity; MongoDB does so for up to 200, and sorts in memory beyond.
_TOGETHER: Final = 100
#: Groups of identities that are read together.
_GROUPS: Final = 50


async def latest_of(
    identity_ids: Sequence[str],
    limit: int,
    position: Position | None = None,
    *,
    fields: tuple[str, ...] | None = None,
) -> list[Row]:
    """The latest that some identities did, as it is stored: by time, then id, descending.

    Args:
        identity_ids: Whose.
        limit: How many at most.
        position: Only what stands behind it: time and id of the last one before.
        fields: Only these of each; None is all.
    """
    found = await _each(identity_ids, lambda ids: replace(queries.latest_of(ids, position, limit), projection=fields))
    return _sorted(found, descending=True)[:limit]


async def latest_of_each(
    groups: Mapping[str, Sequence[str]], limit: int, *, fields: tuple[str, ...]
) -> dict[str, list[Row]]:
    """The latest that each of some groups of identities did, in any order.

    Args:
        groups: Name → identities; none is in two of them.
        limit: How many at most of each.
        fields: What is read of each event.
    """
    whose = {identity_id: name for name, ids in groups.items() for identity_id in ids}
    found: dict[str, list[Row]] = {name: [] for name in groups}
    large = [name for name, ids in groups.items() if len(ids) > _TOGETHER]
    small = [ids for ids in groups.values() if 0 < len(ids) <= _TOGETHER]
    for start in range(0, len(small), _GROUPS):
        pipeline = queries.latest_of_each(small[start : start + _GROUPS], limit, fields)
        for row in await Event.stored().aggregate(pipeline):
            found[whose[row["identity_id"]]].append(row)
    for name in large:
        found[name] = await latest_of(groups[name], limit, fields=fields)
    return found


async def commerce_of(
    identity_ids: Sequence[str], since: datetime, limit: int, *, fields: tuple[str, ...] | None = None
) -> list[Row]:
    """The latest that some identities did with carts and orders, from a time on, as it is stored; latest first."""
    found = await _each(identity_ids, lambda ids: replace(queries.commerce_of(ids, since, limit), projection=fields))
    return _sorted(found, descending=True)[:limit]


async def identities_received_between(start: datetime, end: datetime, after: str, limit: int) -> list[str]:
    """The ids, in order, of identities of which something was received in ``[start, end)``, behind an id.

    Each call looks at all that was received then, so ask for many at a time.
    """
    return [row["_id"] for row in await Event.stored().aggregate(queries.received_between(start, end, after, limit))]


async def page_of_identities(identity_ids: Sequence[str], sort: str, request: PageRequest) -> Page[Row]:
    """One page of what some identities did; ``sort`` is ``occurred_at``, with a leading minus for the latest first."""
    found = await _each(identity_ids, lambda ids: after(queries.of_identities(ids), sort, request))
    rows = _sorted(found, descending=sort.startswith("-"))
    page = page_of(rows, sort, request, lambda row: (row["occurred_at"], row["_id"]))
    if request.count:
        most = COUNT_CAP + 1
        counts = [await Event.stored().count(queries.of_identities(ids), at_most=most) for ids in _chunks(identity_ids)]
        page = replace(page, count=min(sum(counts), most))
    return page


def _chunks(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[at : at + _TOGETHER] for at in range(0, len(ids), _TOGETHER)]


async def _each(ids: Sequence[str], query: Callable[[Sequence[str]], Query]) -> list[Row]:
    found = await asyncio.gather(*(Event.stored().find(query(chunk)) for chunk in _chunks(ids)))
    return [row for rows in found for row in rows]


def _sorted(rows: list[Row], *, descending: bool) -> list[Row]:
    return sorted(rows, key=lambda row: (row["occurred_at"], row["_id"]), reverse=descending)
