"""What can be asked of customers' activity."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Final

from crm.activity import checking, mapping, projection, projector, queries
from crm.activity.activities import alike, with_its_cart
from crm.activity.carts import KEPT
from crm.activity.checking import Compared
from crm.activity.documents import Activity
from crm.activity.forgetting import disclose, forget
from crm.activity.schemas import ActivityOut, CartOut, CartState
from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.customers import service as customers
from crm.database import driver
from crm.database.driver import Database
from crm.database.paging import Page, PageRequest
from crm.identity import Principal, Role

__all__ = ["Compared", "disclose", "forget"]  # what callers get; of people who are forgotten

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
    shown = with_its_cart(told or {}, *terms)
    if not alike(with_its_cart(stored or {}, *terms), shown):
        _tell_soon(customer_id, moment)
    await audit.seen(principal, Action.CUSTOMER_ACTIVITY, customer_id)
    return mapping.shape(customer_id, shown)


async def carts(
    principal: Principal, state: CartState | None, request: PageRequest, *, abandoned_after: timedelta
) -> Page[CartOut]:
    """One page of customers' carts, the one touched last first.

    A cart whose customer ordered since is left out, so a page may have fewer items than it could.

    Args:
        principal: Who asks.
        state: Only these; None is all.
        request: Which page.
        abandoned_after: The silence after which a cart counts as abandoned.

    Raises:
        UnreadableRequest: No index serves this order.
    """
    moment = now()
    sort = queries.LISTINGS.choose({"state": state}, request.sort)
    earliest, latest = moment - KEPT, moment + _TICK
    between = {
        None: (earliest, latest),
        "open": (moment - abandoned_after, latest),
        "abandoned": (earliest, moment - abandoned_after),
    }[state]
    page = await Activity.page(queries.carts_between(*between), sort, request)
    stats = await customers.stats_of([found.id for found in page.items])
    items = []
    for found in page.items:
        terms = projection.last_order_at(stats.get(found.id)), moment, abandoned_after
        shown = with_its_cart(found.model_dump(), *terms)
        if "state" in shown:
            items.append(mapping.shape_cart(found.id, shown))
        else:
            _tell_soon(found.id, moment)
    await audit.seen(principal, Action.CART_LIST, (cart.customer_id for cart in items), {"state": state})
    return Page(items, page.next_cursor, page.count)


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


def _tell_soon(customer_id: str, moment: datetime) -> None:
    """What is stored is behind: an order or another name of the customer came, and no event since."""
    at_work = projector.of(driver.present().database)
    if at_work is not None:
        at_work.hear([customer_id], moment)
