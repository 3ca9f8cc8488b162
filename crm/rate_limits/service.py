"""Lets a key send so many events a second, over all processes.

A limit is one record with a date: until when what was taken will have been earned. Taking moves it on by the server's
clock, so processes need not agree on the time. A process takes a tenth of a second's worth at once and spends it by
itself, so most requests cost the database no command; a limit that is used up is not asked again before it can give.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from crm.database.collection import Row
from crm.database.driver import acting_within, present
from crm.database.query import UpdatePipeline
from crm.errors import AlreadyExists, RateLimited, Unavailable
from crm.identity import Role
from crm.rate_limits import queries
from crm.rate_limits.documents import RateLimit

#: Seconds that may be used up in advance: a shop's events come in bursts.
BURST: Final = 10
#: What a process takes at once, as a part of what is earned in a second.
_CHUNK: Final = 0.1
#: Seconds for which a limit is not asked after the database did not answer.
_PATIENCE: Final = 1.0


@dataclass(slots=True)
class _Allowance:
    """What this process has of a limit.

    Attributes:
        left: Events that were taken and not spent.
        closed_until: Nothing is given before, by this process's clock.
        open_until: Everything passes before: the limit cannot be asked.
        asking: Held while it is asked; whoever waits finds what the first has taken.
    """

    left: int = 0
    closed_until: float = 0.0
    open_until: float = 0.0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


async def spend(key_id: str, events: int, per_second: int) -> None:
    """Count events against a key's limit.

    Whoever finds any room at all may send the whole of a batch, however large; those who come after wait it out. While
    the database is away everything passes: what cannot be counted cannot be stored either.

    Args:
        key_id: Whose limit it is.
        events: How many there are; 0 counts as one.
        per_second: The limit.

    Raises:
        RateLimited: It is used up; with the seconds after which it is not.
    """
    events = max(events, 1)
    limit_id = f"{key_id}:{per_second}"
    allowances: dict[str, _Allowance] = present().database.kept.setdefault("rate_limits", {})
    allowance = allowances.setdefault(limit_id, _Allowance())
    if allowance.left < events:
        async with allowance.asking:
            wait = allowance.closed_until - time.monotonic()
            if wait > 0:
                raise _used_up(wait)
            if allowance.left < events and time.monotonic() >= allowance.open_until:
                await _take(allowance, limit_id, max(events, int(per_second * _CHUNK)), per_second)
    allowance.left = max(0, allowance.left - events)


async def _take(allowance: _Allowance, limit_id: str, events: int, per_second: int) -> None:
    change = queries.taken(events * 1000 / per_second, BURST * 1000)
    try:
        with acting_within(Role.AUTH):
            row = await _taken(limit_id, change)
    except Unavailable:
        allowance.open_until = time.monotonic() + _PATIENCE
        return
    if not row["granted"]:
        wait = (row["spent_until"] - row["asked_at"]).total_seconds() - BURST
        allowance.closed_until = time.monotonic() + wait
        raise _used_up(wait)
    allowance.left += events


def _used_up(wait: float) -> RateLimited:
    return RateLimited("This key has sent too many events; wait a little.", retry_after=max(1, ceil(wait)))


async def _taken(limit_id: str, change: UpdatePipeline) -> Row:
    # May be lost in a crash of the server: then a key may send a little more.
    limits = RateLimit.stored().unjournaled()
    try:
        row = await limits.find_and_update(queries.limit(limit_id), change, upsert=True)
    except AlreadyExists:  # two processes have just begun it
        row = await limits.find_and_update(queries.limit(limit_id), change, upsert=True)
    return row or {}
