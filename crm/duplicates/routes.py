"""/api/v1/duplicates."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, QueryParameter

from crm.duplicates import service
from crm.duplicates.schemas import DuplicateOut, State
from crm.web.access import STAFF
from crm.web.dependencies import AskedPage, Caller
from crm.web.lists import Listed, listed, lists


@get("/", operation_id="ListDuplicates", summary="Customers who may be one", opt=lists(STAFF, service.LISTINGS))
async def list_duplicates(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    in_state: Annotated[State | None, QueryParameter(name="state", description="open if left out.")] = None,
    customer_id: Annotated[str | None, QueryParameter(min_length=1, max_length=100)] = None,
) -> Response[Listed[DuplicateOut]]:
    """Pairs that ``crm duplicates scan`` found, the likeliest first, with what they share."""
    return listed(request, await service.page(principal, in_state, customer_id, page_request))


@post(
    "/{pair_id:str}/dismiss",
    operation_id="DismissDuplicate",
    summary="Say that two customers are two",
    opt={**STAFF, "content_types": ()},
    status_code=200,
)
async def dismiss_duplicate(principal: Caller, pair_id: FromPath[str]) -> DuplicateOut:
    """They are not proposed again for the same reasons."""
    return await service.dismiss(principal, pair_id)


router = Router("/duplicates", route_handlers=[list_duplicates, dismiss_duplicate], tags=["customers"])
