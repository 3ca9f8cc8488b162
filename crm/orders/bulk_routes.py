"""/api/v1/orders/bulk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from litestar import Request, Router, post

from crm.audit import service as audit
from crm.audit.service import Action
from crm.config import Settings
from crm.errors import CrmError
from crm.identity import Principal
from crm.orders import service
from crm.orders.schemas import OrderLine
from crm.web import ndjson
from crm.web.access import SENDERS
from crm.web.dependencies import Caller, Configured


@post(
    "/bulk",
    operation_id="PushOrders",
    summary="Push many orders",
    opt={**SENDERS, **ndjson.takes(OrderLine)},
    status_code=200,
    request_max_body_size=None,
)
async def push_orders(
    request: Request[Any, Any, Any], principal: Caller, settings: Configured
) -> ndjson.Exchange[OrderLine]:
    """Any number of lines, each an order with its source and external id; send them again as often as you like."""
    await audit.record(principal, Action.ORDER_BULK)
    return ndjson.Exchange(request, OrderLine, _key, partial(_store, principal, settings))


async def _store(principal: Principal, settings: Settings, lines: Sequence[OrderLine]) -> list[ndjson.Answer]:
    pushes = [service.Push(line.source, line.external_id, line) for line in lines]
    stored = await service.put_many(
        principal, pushes, phone_region=settings.default_phone_region, most_items=settings.most_order_items
    )
    return [
        found if isinstance(found, CrmError) else _taken(push, found)
        for push, found in zip(pushes, stored, strict=True)
    ]


def _key(line: OrderLine) -> tuple[str, str]:
    return line.source, line.external_id


def _taken(push: service.Push, found: service.Pushed) -> ndjson.Taken:
    names = {"id": found.order_id, "source": push.source, "external_id": push.external_id}
    return ndjson.Taken(found.result, names)


router = Router("/orders", route_handlers=[push_orders], tags=["orders"])
