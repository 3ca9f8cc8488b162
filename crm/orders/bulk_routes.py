"""/api/v1/orders/bulk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from litestar import Request, Router, post

from crm.errors import CrmError
from crm.identity import Principal
from crm.in_turn import each_in_turn
from crm.orders import service
from crm.orders.schemas import OrderLine, OrderPutOut
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
    store = partial(_store, principal, settings.default_phone_region)
    return ndjson.Exchange(request, OrderLine, store)


async def _store(principal: Principal, phone_region: str | None, lines: Sequence[OrderLine]) -> list[ndjson.Answer]:
    stored = await _put_many(principal, phone_region, lines)
    return [
        found
        if isinstance(found, CrmError)
        else ndjson.Taken(found.result, {"id": found.id, "source": line.source, "external_id": line.external_id})
        for line, found in zip(lines, stored, strict=True)
    ]


async def _put_many(
    principal: Principal, phone_region: str | None, lines: Sequence[OrderLine]
) -> list[OrderPutOut | CrmError]:
    async def put(line: OrderLine) -> OrderPutOut:
        return await service.put(principal, line.source, line.external_id, line.pushed(), phone_region=phone_region)

    return await each_in_turn(lines, lambda line: (line.source, line.external_id), put)


router = Router("/orders", route_handlers=[push_orders], tags=["orders"])
