"""Many things at a time, but those that concern the same one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TypeVar

from crm.errors import CrmError

T = TypeVar("T")
R = TypeVar("R")


async def each_in_turn(
    items: Sequence[T], key: Callable[[T], Hashable], work: Callable[[T], Awaitable[R]], *, at_most: int = 16
) -> list[R | CrmError]:
    """Do ``work`` on each item; what it refuses has the error in its place and does not harm the others.

    Args:
        items: What to work on.
        key: Items of the same key are worked on in their order, the last one last.
        work: Raises ``CrmError`` for an item that it refuses.
        at_most: Keys at a time.

    Returns:
        A result for each item, in the order of the items.
    """
    results: dict[int, R | CrmError] = {}
    groups: dict[Hashable, list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault(key(item), []).append(index)
    waiting = iter(groups.values())

    async def worker() -> None:
        for indices in waiting:
            for index in indices:
                try:
                    results[index] = await work(items[index])
                except CrmError as exc:
                    results[index] = exc

    async with asyncio.TaskGroup() as group:
        for _ in range(min(at_most, len(groups))):
            group.create_task(worker())
    return [results[index] for index in range(len(items))]
