"""What can be asked of customers' activity."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from crm import masking
from crm.activity import checking, mapping, projection, projector, queries, watermarks
from crm.activity.activities import alike, with_its_cart
from crm.activity.carts import KEPT
from crm.activity.documents import Activity
from crm.activity.forgetting import disclose, forget
from crm.activity.schemas import ActivityOut, CartOut, CartState
from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.compared import Compared
from crm.customers import service as customers
from crm.database import driver
from crm.database.collection import Row
from crm.database.driver import Database
from crm.database.paging import COUNT_CAP, LARGEST_PAGE, Page, PageRequest, Position, beyond, cursor_position, page_of
from crm.identity import Principal, Role

__all__ = ["disclose", "forget"]  # what callers get; of people who are forgotten
LISTINGS: Final = queries.LISTINGS
told_up_to = watermarks.told_up_to

_TICK: Final = timedelta(milliseconds=1)


async def read(principal: Principal, customer_id: str, *, abandoned_after: timedelta) -> ActivityOut:
    """What a customer does at present, from the events as they are now: it shows all that was answered before.

    Args:
        principal: Who asks.
        customer_id: Whose.
        abandoned_after: The silence after which a cart counts as abandoned.

    Raises:
        NotFound: There is no such customer.
    """
    moment = now()
    await customers.require(customer_id)
    with driver.acting_within(Role.INGEST):
        stats = (await customers.stats_of([customer_id])).get(customer_id)
        told = (await projection.told_each([customer_id]))[customer_id]
        stored = (await projection.stored_of([customer_id])).get(customer_id)
    terms = projection.last_order_at(stats), moment, abandoned_after
    now_shown = with_its_cart(told or {}, *terms)
    if not alike(with_its_cart(stored or {}, *terms), now_shown):
        _tell_soon(customer_id, moment)
    await audit.seen(principal, Action.CUSTOMER_ACTIVITY, customer_id)
    return masking.shown(principal, mapping.shape(customer_id, now_shown))


async def stored(customer_id: str) -> Row | None:
    """What is stored of a customer's activity, at most a second behind the events: one command; for ``shown``."""
    found = await Activity.fetch(queries.of_customers([customer_id]))
    return found and found.model_dump(exclude_none=True)


def shown(
    customer_id: str, activity: Row | None, last_order_at: datetime | None, *, abandoned_after: timedelta
) -> ActivityOut:
    """What is stored of a customer's activity as clients see it at this moment.

    Args:
        customer_id: Whose.
        activity: As stored; None of somebody who was never seen.
        last_order_at: When the customer last ordered: a cart of before is none any more.
        abandoned_after: The silence after which a cart counts as abandoned.
    """
    return mapping.shape(customer_id, with_its_cart(activity or {}, last_order_at, now(), abandoned_after))


async def carts(
    principal: Principal, state: CartState | None, request: PageRequest, *, abandoned_after: timedelta
) -> Page[CartOut]:
    """One page of customers' carts, the one touched last first.

    A cart whose customer ordered since is passed over, and told again in a moment.

    Args:
        principal: Who asks.
        state: Only these; None is all.
        request: Which page.
        abandoned_after: The silence after which a cart counts as abandoned.

    Raises:
        UnreadableRequest: No index serves this order.
    """
    moment = now()
    sort = LISTINGS.choose({"state": state}, request.sort)
    earliest, latest = moment - KEPT, moment + _TICK
    between = {
        None: (earliest, latest),
        "open": (moment - abandoned_after, latest),
        "abandoned": (earliest, moment - abandoned_after),
    }[state]
    filter_ = queries.carts_between(*between)
    size, position = request.limit + 1, cursor_position(request.cursor, sort)
    living: list[tuple[Activity, CartOut]] = []
    while len(living) <= request.limit:
        found = await Activity.fetch_all(beyond(filter_, sort, position, size))
        living += await _with_their_carts(found, moment, abandoned_after)
        if len(found) < size:
            break
        size, position = LARGEST_PAGE, _position(found[-1])
    page = page_of(living, sort, request, lambda pair: _position(pair[0])).map(lambda pair: pair[1])
    if request.count:
        page = replace(page, count=await Activity.stored().count(filter_, at_most=COUNT_CAP + 1))
    await audit.seen(principal, Action.CART_LIST, (cart.customer_id for cart in page.items), {"state": state})
    return page.map(lambda cart: masking.shown(principal, cart))


async def tell(customer_ids: Sequence[str]) -> None:
    """Write what some customers do at present: their events were divided otherwise before."""
    await projection.project(customer_ids)


async def catch_up() -> None:
    """Tell what processes of the service that may be gone left behind, as another one would in a moment."""
    await checking.catch_up(driver.present().database)


async def compare(after: str, limit: int) -> Compared:
    """Compare the stored activity of the customers whose ids come next with their events."""
    return await checking.compare(after, limit)


async def repair(customer_ids: list[str]) -> list[str]:
    """Tell customers' activity again; returns those of whom it is wrong all the same."""
    return await checking.repair(customer_ids)


async def orphans(after: str, limit: int) -> Compared:
    """Of the activity that comes next, that of customers who do not exist."""
    return await checking.orphans(after, limit)


def running(database: Database) -> AbstractAsyncContextManager[None]:
    """Keep activity up to date in the background within the block."""
    return projector.running(database)


async def _with_their_carts(
    found: Sequence[Activity], moment: datetime, abandoned_after: timedelta
) -> list[tuple[Activity, CartOut]]:
    """Each with its cart, without those whose cart is none any more."""
    stats = await customers.stats_of([activity.id for activity in found])
    living = []
    for activity in found:
        terms = projection.last_order_at(stats.get(activity.id)), moment, abandoned_after
        shown = with_its_cart(activity.model_dump(), *terms)
        if "state" in shown:
            living.append((activity, mapping.shape_cart(activity.id, shown)))
        else:
            _tell_soon(activity.id, moment)
    return living


def _position(activity: Activity) -> Position:
    return activity.cart_at, activity.id


def _tell_soon(customer_id: str, moment: datetime) -> None:
    """What is stored is behind: an order or another name of the customer came, and no event since."""
    at_work = projector.of(driver.present().database)
    if at_work is not None:
        at_work.hear([customer_id], moment)
