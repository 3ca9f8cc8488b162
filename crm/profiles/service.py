"""What concerns the whole customer: totals that are settled, and the timeline."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from itertools import chain
from typing import get_args

from crm.audit import service as audit
from crm.audit.service import Action
from crm.customers import service as customers
from crm.customers.schemas import CustomerOut
from crm.database.paging import Page, PageRequest, Position, cursor_position, page_of
from crm.errors import UnreadableRequest
from crm.events import service as events
from crm.identities import service as identities
from crm.identity import Principal
from crm.interactions import service as interactions
from crm.orders import service as orders
from crm.profiles import timeline
from crm.profiles.schemas import LinkedOut, TimelineEntry, TimelineKind

_SORT = "-at"


async def get(principal: Principal, customer_id: str) -> CustomerOut:
    """One customer, with totals that show every order stored before this call.

    Raises:
        NotFound: There is none of that id.
    """
    await orders.settled(customer_id)
    return await customers.get(principal, customer_id)


async def read_timeline(
    principal: Principal, customer_id: str, kinds: Collection[TimelineKind] | None, request: PageRequest
) -> Page[TimelineEntry]:
    """One page of all that happened with a customer, the latest first: one indexed read for each kind.

    Args:
        principal: Who asks.
        customer_id: Whose.
        kinds: Only these; None is all.
        request: Which page.

    Raises:
        NotFound: There is no such customer.
    """
    if request.sort not in {None, _SORT}:
        raise UnreadableRequest(f"A timeline is sorted by {_SORT}.")
    await customers.require(customer_id)
    position = cursor_position(request.cursor, _SORT)
    found = await asyncio.gather(
        *(
            _read(kind, customer_id, timeline.position_within(kind, position), request.limit + 1)
            for kind in sorted(set(kinds or get_args(TimelineKind)))
        )
    )
    await audit.seen(principal, Action.CUSTOMER_TIMELINE, customer_id, {"kind": kinds})
    rest = timeline.latest(chain.from_iterable(found))[: request.limit + 1]
    return page_of(rest, _SORT, request, lambda e: (e.at, timeline.sort_key(e)))


async def _read(kind: TimelineKind, customer_id: str, position: Position | None, limit: int) -> list[TimelineEntry]:
    if kind == "order":
        return [timeline.of_order(o) for o in await orders.behind(customer_id, position, limit)]
    if kind == "refund":
        return [timeline.of_refund(r) for r in await orders.refunds_behind(customer_id, position, limit)]
    if kind == "event":
        return [timeline.of_event(e) for e in await events.behind(customer_id, position, limit)]
    if kind == "identity":
        found = await identities.links_behind(customer_id, position, limit)
        return [timeline.of_link(n.at, LinkedOut(id=n.id, kind=n.kind, source=n.source, value=n.value)) for n in found]
    return [timeline.of_interaction(i) for i in await interactions.behind(customer_id, position, limit)]
