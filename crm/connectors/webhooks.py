"""Every kind of shop that delivers webhooks: its route, and what carries its deliveries out."""

from __future__ import annotations

from typing import Final, Protocol

from crm.connections.schemas import Kind
from crm.connectors.shopify.apply import apply as shopify
from crm.connectors.shopify.routes import router as shopify_router
from crm.connectors.woocommerce.apply import apply as woocommerce
from crm.connectors.woocommerce.routes import router as woocommerce_router
from crm.inbox.schemas import Outcome, Work

ROUTERS: Final = (shopify_router, woocommerce_router)


class _Apply(Protocol):
    async def __call__(self, work: Work, *, phone_region: str | None) -> Outcome: ...


_APPLY: Final[dict[Kind, _Apply]] = {"shopify": shopify, "woocommerce": woocommerce}


async def carry_out(work: Work, *, phone_region: str | None) -> Outcome:
    """Carry a delivery out as its kind of shop means it."""
    return await _APPLY[work.shop.kind](work, phone_region=phone_region)
