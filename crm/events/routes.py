"""/api/v1/events."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from crm.events import service
from crm.events.schemas import EventBatch, EventBatchOut, EventOut, RejectedReplay, RejectedReplayOut, RejectOut
from crm.identity import Role
from crm.web.access import ADMIN_ONLY, allow
from crm.web.dependencies import AskedPage, Caller, Configured
from crm.web.idempotency import creates
from crm.web.lists import Listed, listed, lists


@get(
    "/",
    operation_id="ListEvents",
    summary="A customer's or visitor's browsing events",
    opt=lists(allow(Role.ADMIN, Role.SALES, Role.ANALYST), service.LISTINGS),
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


@get(
    "/rejects",
    operation_id="ListRejectedMessages",
    summary="List messages that were rejected",
    opt=lists(ADMIN_ONLY, service.REJECT_LISTINGS),
)
async def list_rejects(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    code: Annotated[str | None, QueryParameter(min_length=1, max_length=50, description="Only one reason.")] = None,
) -> Response[Listed[RejectOut]]:
    """What tracking clients sent and could not be taken, the latest first, for 14 days. It is people's data."""
    return listed(request, await service.page_of_rejects(principal, code, page_request))


@post(
    "/rejects/{reject_id:str}/replay",
    operation_id="ReplayRejectedMessage",
    summary="Take a rejected message after all",
    opt={**ADMIN_ONLY, "content_types": ()},
    status_code=200,
)
async def replay_reject(
    request: Request[Any, Any, Any], principal: Caller, settings: Configured, reject_id: FromPath[str]
) -> RejectOut:
    """After what stood in the way is mended; a 422 says what still does."""
    read_again = request.app.state.read_again
    return await service.replay(principal, reject_id, read_again, phone_region=settings.default_phone_region)


@post(
    "/rejects/replay",
    operation_id="ReplayRejectedMessages",
    summary="Take all rejected messages after all, or those with a code",
    opt=ADMIN_ONLY,
    status_code=200,
)
async def replay_rejects(
    request: Request[Any, Any, Any], principal: Caller, settings: Configured, data: JSONBody[RejectedReplay]
) -> RejectedReplayOut:
    """After what stood in the way is mended."""
    read_again = request.app.state.read_again
    return await service.replay_all(principal, data.code, read_again, phone_region=settings.default_phone_region)


router = Router(
    "/events",
    route_handlers=[list_events, store_events, list_rejects, replay_reject, replay_rejects],
    tags=["events"],
)
