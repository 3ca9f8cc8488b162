"""/api/v1/customers/{id}/activity and /api/v1/carts."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.params import FromPath, QueryParameter

from crm.activity import service
from crm.activity.schemas import ActivityOut, CartOut, CartState
from crm.config import Settings
from crm.web.access import STAFF
from crm.web.dependencies import AskedPage, Caller, Configured
from crm.web.lists import Listed, listed, lists
from crm.web.versions import with_etag_of_content


@get(
    "/{customer_id:str}/activity",
    operation_id="GetActivity",
    summary="The last visit, what was looked at last, the cart",
    opt=STAFF,
)
async def get_activity(principal: Caller, settings: Configured, customer_id: FromPath[str]) -> Response[ActivityOut]:
    """Told from the events at this moment: it shows every event that was answered before."""
    out = await service.read(principal, customer_id, abandoned_after=_abandoned_after(settings))
    return with_etag_of_content(out)


@get("/", operation_id="ListCarts", summary="List carts", opt=lists(STAFF, service.LISTINGS))
async def list_carts(
    request: Request[Any, Any, Any],
    principal: Caller,
    settings: Configured,
    page_request: AskedPage,
    in_state: Annotated[CartState | None, QueryParameter(name="state", description="Both if it is left out.")] = None,
) -> Response[Listed[CartOut]]:
    """The one touched last first; at most a second behind the events."""
    abandoned_after = _abandoned_after(settings)
    return listed(request, await service.carts(principal, in_state, page_request, abandoned_after=abandoned_after))


def _abandoned_after(settings: Settings) -> timedelta:
    return timedelta(minutes=settings.cart_abandoned_after_minutes)


customer_router = Router("/customers", route_handlers=[get_activity], tags=["customers"])
router = Router("/carts", route_handlers=[list_carts], tags=["carts"])
