"""/api/v1/privacy-requests."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get

from crm.privacy import service
from crm.privacy.schemas import PrivacyRequestOut
from crm.web.access import ADMIN_ONLY
from crm.web.dependencies import AskedPage, Caller
from crm.web.lists import Listed, listed, lists


@get("/", operation_id="ListPrivacyRequests", summary="List privacy requests", opt=lists(ADMIN_ONLY, service.LISTINGS))
async def list_privacy_requests(
    request: Request[Any, Any, Any], principal: Caller, page_request: AskedPage
) -> Response[Listed[PrivacyRequestOut]]:
    """The most urgent first."""
    return listed(request, await service.page(principal, page_request))


router = Router("/privacy-requests", route_handlers=[list_privacy_requests], tags=["privacy"])
