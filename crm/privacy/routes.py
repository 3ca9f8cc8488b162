"""/api/v1/privacy-requests."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.params import FromPath, QueryParameter

from crm.privacy import service
from crm.privacy.schemas import PrivacyRequestOut, PrivacyState
from crm.web.access import ADMIN_ONLY
from crm.web.dependencies import AskedPage, Caller
from crm.web.lists import Listed, listed, lists


@get("/", operation_id="ListPrivacyRequests", summary="List privacy requests", opt=lists(ADMIN_ONLY, service.LISTINGS))
async def list_privacy_requests(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    in_state: Annotated[PrivacyState | None, QueryParameter(name="state")] = None,
) -> Response[Listed[PrivacyRequestOut]]:
    """The most urgent first."""
    return listed(request, await service.page(principal, in_state, page_request))


@get("/{request_id:str}", operation_id="GetPrivacyRequest", summary="Read a privacy request", opt=ADMIN_ONLY)
async def get_privacy_request(principal: Caller, request_id: FromPath[str]) -> PrivacyRequestOut:
    """What became of it."""
    return await service.get(principal, request_id)


router = Router("/privacy-requests", route_handlers=[list_privacy_requests, get_privacy_request], tags=["privacy"])
