"""What concerns the whole customer: totals that are settled, and the timeline."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import timedelta
from itertools import chain
from typing import Final, get_args

from crm.activity import service as activity
from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.customers import service as customers
from crm.customers.schemas import CustomerOut, in_force
from crm.database.paging import Page, PageRequest, Position, cursor_position, page_of
from crm.events import service as events
from crm.identities import service as identities
from crm.identity import Principal
from crm.interactions import service as interactions
from crm.masking import shown
from crm.orders import service as orders
from crm.profiles import timeline
from crm.profiles.schemas import LinkedOut, OverviewOut, TimelineEntry, TimelineKind

TIMELINE: Final = timeline.LISTINGS
#: What is told where no kind is asked for. Edits are about the record: most are what orders filled in.
_UNASKED: Final = frozenset(get_args(TimelineKind)) - {"change"}
_LATEST: Final = 10
_MOST_TASKS: Final = 50
_TOLD_BY_NAME: Final[tuple[TimelineKind, ...]] = ("event", "identity")


async def get(principal: Principal, customer_id: str) -> CustomerOut:
    """One customer, with totals that show every order stored before this call.

    Raises:
        NotFound: There is none of that id.
    """
    await orders.settled(customer_id)
    found = await customers.get(principal, customer_id)
    # An order that had found its customer just before a merge is marked with the id of before.
    if found.former_ids and await orders.settled(*found.former_ids):
        return await customers.get(principal, customer_id)
    return found


async def search(
    principal: Principal,
    text: str,
    request: PageRequest,
    filters: Mapping[str, str | None] = {},
    *,
    phone_region: str | None = None,
) -> Page[CustomerOut]:
    """The customers whom one line of text means, by what their orders are called too (``customers.service.search``).

    Raises:
        Forbidden: The role may not search by personal data.
        UnreadableRequest: It asks for more than a search gives.
    """
    return await customers.search(principal, text, request, filters, orders.owners_called, phone_region=phone_region)


async def overview(principal: Principal, customer_id: str, *, abandoned_after: timedelta) -> OverviewOut:
    """A customer with the latest of everything: four commands, unless an order was stored this very moment.

    Args:
        principal: Who asks.
        customer_id: Whose.
        abandoned_after: The silence after which a cart counts as abandoned.

    Raises:
        NotFound: There is none of that id.
    """
    found, (tasks, talks), stored = await asyncio.gather(
        orders.latest(customer_id, _LATEST),
        interactions.at_a_glance(customer_id, _MOST_TASKS, _LATEST),
        activity.stored(customer_id),
    )
    customer = await customers.get(principal, customer_id)  # behind the orders: its totals show them by now
    present = activity.shown(customer_id, stored, customer.stats.last_order_at, abandoned_after=abandoned_after)
    # The customer is as this principal sees it; the rest is as it is stored.
    return OverviewOut(
        customer=customer,
        consents=in_force(customer.consents, now()),
        orders=shown(principal, found),
        cart=shown(principal, present.cart),
        viewed=shown(principal, present.viewed),
        open_tasks=shown(principal, tasks),
        interactions=shown(principal, talks),
    )


async def read_timeline(
    principal: Principal, customer_id: str, kinds: Collection[TimelineKind] | None, request: PageRequest
) -> Page[TimelineEntry]:
    """One page of all that happened with a customer, the latest first.

    One indexed read for each kind; what is told by names, events and the names themselves, shares the reads of those.

    Args:
        principal: Who asks.
        customer_id: Whose.
        kinds: Only these; None is all that happened, edits of the record apart.
        request: Which page.

    Raises:
        NotFound: There is no such customer.
    """
    sort = TIMELINE.choose({"kind": kinds}, request.sort)
    await customers.require(customer_id)
    position = cursor_position(request.cursor, sort)
    wanted = {kind: timeline.position_within(kind, position) for kind in sorted(set(kinds or _UNASKED))}
    by_name = {kind: wanted.pop(kind) for kind in _TOLD_BY_NAME if kind in wanted}
    found = await asyncio.gather(
        _read_by_name(by_name, customer_id, request.limit + 1),
        *(_read(kind, customer_id, behind, request.limit + 1) for kind, behind in wanted.items()),
    )
    await audit.seen(principal, Action.CUSTOMER_TIMELINE, customer_id, {"kind": kinds})
    rest = timeline.latest(chain.from_iterable(found))[: request.limit + 1]
    page = page_of(rest, sort, request, lambda e: (e.at, timeline.sort_key(e)))
    return page.map(lambda entry: shown(principal, entry))


async def _read(kind: TimelineKind, customer_id: str, position: Position | None, limit: int) -> list[TimelineEntry]:
    if kind == "order":
        return [timeline.of_order(o) for o in await orders.behind(customer_id, position, limit)]
    if kind == "refund":
        return [timeline.of_refund(r) for r in await orders.refunds_behind(customer_id, position, limit)]
    if kind == "task_done":
        return [timeline.of_done_task(i) for i in await interactions.done_behind(customer_id, position, limit)]
    if kind == "change":
        return [timeline.of_change(c) for c in await customers.changes_behind(customer_id, position, limit)]
    return [timeline.of_interaction(i) for i in await interactions.behind(customer_id, position, limit)]


async def _read_by_name(
    wanted: Mapping[TimelineKind, Position | None], customer_id: str, limit: int
) -> list[TimelineEntry]:
    if not wanted:
        return []
    theirs = await identities.belonging_to(customer_id)
    entries = []
    if "event" in wanted:
        found = await events.behind(customer_id, theirs.ids, wanted["event"], limit)
        entries += [timeline.of_event(event) for event in found]
    if "identity" in wanted:
        entries += [timeline.of_link(link.at, _shape(link)) for link in theirs.links_behind(wanted["identity"], limit)]
    return entries


def _shape(link: identities.Linked) -> LinkedOut:
    return LinkedOut(id=link.id, kind=link.kind, source=link.source, value=link.value)
