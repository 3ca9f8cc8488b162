"""Every kind of shop that delivers webhooks: its route, and what carries its deliveries out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from crm.connections.schemas import Kind
from crm.connectors.applying import Terms
from crm.connectors.shopify.apply import apply as shopify
from crm.connectors.shopify.routes import router as shopify_router
from crm.connectors.woocommerce.apply import apply as woocommerce
from crm.connectors.woocommerce.routes import router as woocommerce_router
from crm.inbox.schemas import Outcome, Work

ROUTERS: Final = (shopify_router, woocommerce_router)


_APPLY: Final[dict[Kind, Callable[[Work, Terms], Awaitable[Outcome]]]] = {
    "shopify": shopify,
    "woocommerce": woocommerce,
}


async def carry_out(work: Work, terms: Terms) -> Outcome:
    """Carry a delivery out as its kind of shop means it."""
    return await _APPLY[work.shop.kind](work, terms)
