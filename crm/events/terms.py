"""Holds a key to what it may send here, as it is held to it as a write key of tracking clients."""

from __future__ import annotations

from collections.abc import Sequence

from crm.auth import service as auth
from crm.database.driver import acting_within
from crm.errors import Forbidden
from crm.events.schemas import EventIn
from crm.identity import Principal, Role
from crm.rate_limits import service as rate_limits


async def heed(principal: Principal, events: Sequence[EventIn]) -> None:
    """Let a batch pass if its sender may send it.

    Raises:
        Forbidden: A key may not send events of such a type, or a public one under another source than its own.
        RateLimited: It has sent too many.
    """
    if principal.kind != "key":
        return
    with acting_within(Role.AUTH):
        key = await auth.key_of(principal)
    if key.event_types and not key.event_types.issuperset(event.type for event in events):
        raise Forbidden("This key may not send events of this type.")
    if principal.role is Role.TRACKING and any(event.source != key.source for event in events):
        raise Forbidden("A tracking key sends events of its own source only.")
    if key.events_per_second is not None:
        await rate_limits.spend(principal.id, len(events), key.events_per_second)
