"""/api/v1/inbox."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from crm.inbox import service
from crm.inbox.schemas import DeliveryFull, DeliveryOut, Replay, ReplayOut, State
from crm.web.access import ADMIN_ONLY
from crm.web.dependencies import AskedPage, Caller
from crm.web.lists import Listed, listed, lists
from crm.web.versions import with_etag_of_content


@get("/", operation_id="ListDeliveries", summary="List deliveries", opt=lists(ADMIN_ONLY, service.LISTINGS))
async def list_deliveries(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    in_state: Annotated[State | None, QueryParameter(name="state")] = None,
    connection_id: Annotated[str | None, QueryParameter(min_length=1, max_length=100)] = None,
) -> Response[Listed[DeliveryOut]]:
    """The latest first, by state; what was sent is not in the list."""
    return listed(request, await service.page(principal, in_state, connection_id, page_request))


@get("/{delivery_id:str}", operation_id="GetDelivery", summary="Read a delivery", opt=ADMIN_ONLY)
async def get_delivery(principal: Caller, delivery_id: FromPath[str]) -> Response[DeliveryFull]:
    """With what was sent: people's data."""
    return with_etag_of_content(await service.get(principal, delivery_id))


@post(
    "/{delivery_id:str}/replay",
    operation_id="ReplayDelivery",
    summary="Carry a dead delivery out again",
    opt={**ADMIN_ONLY, "content_types": ()},
    status_code=200,
)
async def replay_delivery(
    request: Request[Any, Any, Any], principal: Caller, delivery_id: FromPath[str]
) -> DeliveryOut:
    """After what stood in the way is mended."""
    out = await service.replay(principal, delivery_id)
    request.app.state.inbox.wake()
    return out


@post(
    "/replay",
    operation_id="ReplayDeliveries",
    summary="Carry all dead deliveries of a connection out again",
    opt=ADMIN_ONLY,
    status_code=200,
)
async def replay_deliveries(request: Request[Any, Any, Any], principal: Caller, data: JSONBody[Replay]) -> ReplayOut:
    """After what stood in the way is mended."""
    out = ReplayOut(replayed=await service.replay_all(principal, data.connection_id))
    request.app.state.inbox.wake()
    return out


@delete("/{delivery_id:str}", operation_id="DiscardDelivery", summary="Forget a dead delivery", opt=ADMIN_ONLY)
async def discard_delivery(principal: Caller, delivery_id: FromPath[str]) -> None:
    """For good."""
    await service.discard(principal, delivery_id)


router = Router(
    "/inbox",
    route_handlers=[list_deliveries, get_delivery, replay_delivery, replay_deliveries, discard_delivery],
    tags=["inbox"],
)
