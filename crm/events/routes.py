"""/api/v1/events."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.params import JSONBody, QueryParameter

from crm.events import service
from crm.events.schemas import EventBatch, EventBatchOut, EventOut
from crm.identity import Role
from crm.web.access import allow
from crm.web.dependencies import AskedPage, Caller, Configured
from crm.web.idempotency import creates
from crm.web.lists import Listed, listed


@get(
    "/",
    operation_id="ListEvents",
    summary="A customer's or visitor's browsing events",
    opt=allow(Role.ADMIN, Role.SALES, Role.ANALYST),
)
async def list_events(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    customer_id: Annotated[str | None, QueryParameter(min_length=1, max_length=100)] = None,
    source: Annotated[str | None, QueryParameter(min_length=1, max_length=64)] = None,
    anonymous_id: Annotated[str | None, QueryParameter(min_length=1, max_length=200)] = None,
) -> Response[Listed[EventOut]]:
    """The latest first; a visitor is named by source and anonymous_id together."""
    return listed(request, await service.page(principal, customer_id, source, anonymous_id, page_request))


@post(
    "/",
    operation_id="StoreEvents",
    summary="Store a batch of browsing events",
    opt=creates(allow(Role.ADMIN, Role.INGEST, Role.TRACKING)),
    status_code=200,
)
async def store_events(principal: Caller, settings: Configured, data: JSONBody[EventBatch]) -> EventBatchOut:
    """Send a batch again as often as you like: what is there already is counted as a duplicate."""
    return await service.store(principal, data, phone_region=settings.default_phone_region)


router = Router("/events", route_handlers=[list_events, store_events], tags=["events"])
