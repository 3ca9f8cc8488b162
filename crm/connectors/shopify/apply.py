"""Carries out what Shopify delivered."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable
from typing import Final

from crm.connections import service as connections
from crm.connectors import applying, reading, shapes
from crm.connectors.applying import Terms
from crm.connectors.reading import Json
from crm.connectors.shopify import catalogue, deliveries, mapping, privacy, refunds
from crm.database.driver import acting_within
from crm.errors import NotFound
from crm.identity import INBOX, SYSTEM, Role
from crm.inbox.schemas import Outcome, Work
from crm.privacy import service as privacy_requests

_Carry = Callable[[Work, Json, Terms], Awaitable[Outcome]]


async def apply(work: Work, terms: Terms) -> Outcome:
    """Carry a delivery out; topics that we have no use for are ignored.

    Raises:
        CrmError: It cannot be carried out, or not now.
    """
    carry = _TOPICS.get(work.topic)
    if carry is None:
        return "ignored"
    data = await to_thread(reading.parse, work.body)  # as is the mapping, so that others are served meanwhile
    shapes.check(data, *deliveries.SHAPES[work.topic])
    _check_shop(work, data)
    return await carry(work, data, terms)


def _check_shop(work: Work, data: Json) -> None:
    """Refuse what is signed as of another shop: one app has the same secret for all its shops."""
    names = [name for name in deliveries.NAMES_OF_SHOP.get(work.topic, ()) if reading.text(data, name)]
    named = {connections.same_place(str(data[name])) for name in names}
    if work.shop.address and names and connections.same_place(work.shop.address) not in named:
        raise shapes.wrong(names[0], "This is another shop than the connection's.")


async def _order(work: Work, data: Json, terms: Terms) -> Outcome:
    applying.refuse_too_many(data, terms)
    order, given_back = await to_thread(mapping.order, data), refunds.of_order(data)
    await applying.put_order(work, reading.required_id(data), order, given_back, terms)
    return "applied"


async def _order_deleted(work: Work, data: Json, _terms: Terms) -> Outcome:
    await applying.cancel_order(work, reading.required_id(data))
    return "applied"


async def _refund(work: Work, data: Json, _terms: Terms) -> Outcome:
    given_back = refunds.refund(data)
    if given_back is None:
        return "ignored"
    await applying.give_back(work, reading.required_id(data, "order_id"), given_back)
    return "applied"


async def _customer(work: Work, data: Json, terms: Terms) -> Outcome:
    await applying.put_customer(work, catalogue.customer(data), terms)
    return "applied"


async def _product(work: Work, data: Json, _terms: Terms) -> Outcome:
    found = await to_thread(catalogue.products, data, currency=work.shop.currency, shop=work.shop.address)
    for sku, product in found.items():
        await applying.put_product(sku, product)
    return "applied"


async def _privacy(work: Work, data: Json, _terms: Terms) -> Outcome:
    await privacy_requests.queue(INBOX, privacy.asked(work, data))
    return "applied"


async def _uninstalled(work: Work, _data: Json, _terms: Terms) -> Outcome:
    # Nothing but this may be changed of a connection by what comes in, so the role for it is borrowed for this one act.
    with acting_within(Role.ADMIN):
        try:
            await connections.disable(SYSTEM, work.shop.connection_id)
        except NotFound:
            return "ignored"
    return "applied"


_TOPICS: Final[dict[str, _Carry]] = {
    **dict.fromkeys(deliveries.ORDERS, _order),
    deliveries.ORDER_DELETED: _order_deleted,
    deliveries.REFUND: _refund,
    **dict.fromkeys(deliveries.CUSTOMERS, _customer),
    **dict.fromkeys(deliveries.PRODUCTS, _product),
    **dict.fromkeys(deliveries.PRIVACY, _privacy),
    deliveries.UNINSTALLED: _uninstalled,
}
