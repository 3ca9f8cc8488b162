"""Carries out what WooCommerce delivered."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable
from typing import Final

from crm.connectors import applying, reading, shapes
from crm.connectors.applying import Terms
from crm.connectors.reading import Json
from crm.connectors.shapes import Shape
from crm.connectors.woocommerce import catalogue, mapping
from crm.inbox.schemas import Outcome, Work

_Carry = Callable[[Work, Json, Terms], Awaitable[Outcome]]
_HAVE_CONTENT: Final = ("created", "updated", "restored")
#: What tells their bodies apart. A deletion has nothing but the id.
_SHAPES: Final = {
    "order": Shape(one_of=("line_items",)),
    "customer": Shape(none_of=("line_items", "sku", "permalink", "price")),
    "product": Shape(none_of=("line_items", "billing", "email")),
}
_DELETED: Final = Shape(none_of=("line_items", "billing", "email", "name", "date_created", "date_created_gmt"))


async def apply(work: Work, terms: Terms) -> Outcome:
    """Carry a delivery out; topics that we have no use for are ignored.

    Raises:
        CrmError: It cannot be carried out, or not now.
    """
    carry = _TOPICS.get(work.topic)
    if carry is None:
        return "ignored"
    data = await to_thread(reading.parse, work.body)  # as is the mapping, so that others are served meanwhile
    kind, _, event = work.topic.partition(".")
    shapes.check(data, _DELETED if event == "deleted" else _SHAPES[kind])
    return await carry(work, data, terms)


async def _order(work: Work, data: Json, terms: Terms) -> Outcome:
    if mapping.is_draft(data):
        return "ignored"
    applying.refuse_too_many(data, terms)
    order, given_back = await to_thread(mapping.order, data), mapping.refunds(data)
    await applying.put_order(work, reading.required_id(data), order, given_back, terms)
    return "applied"


async def _order_deleted(work: Work, data: Json, _terms: Terms) -> Outcome:
    await applying.cancel_order(work, reading.required_id(data))
    return "applied"


async def _customer(work: Work, data: Json, terms: Terms) -> Outcome:
    await applying.put_customer(work, catalogue.customer(data), terms)
    return "applied"


async def _product(work: Work, data: Json, _terms: Terms) -> Outcome:
    sku, product = await to_thread(catalogue.product, data, currency=work.shop.currency)
    await applying.put_product(sku, product)
    return "applied"


_TOPICS: Final[dict[str, _Carry]] = {
    **{f"order.{event}": _order for event in _HAVE_CONTENT},
    "order.deleted": _order_deleted,
    **{f"customer.{event}": _customer for event in _HAVE_CONTENT},
    **{f"product.{event}": _product for event in _HAVE_CONTENT},
}
