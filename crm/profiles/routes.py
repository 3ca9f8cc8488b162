"""What spans features, under /api/v1/customers/{id}."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.params import FromPath, QueryParameter

from crm.customers.schemas import CustomerOut
from crm.profiles import service
from crm.profiles.schemas import TimelineEntry, TimelineKind
from crm.web.access import READERS, STAFF
from crm.web.dependencies import AskedPage, Caller
from crm.web.lists import Listed, listed
from crm.web.versions import with_etag


@get("/{customer_id:str}", operation_id="GetCustomer", summary="Read a customer", opt=READERS)
async def get_customer(principal: Caller, customer_id: FromPath[str]) -> Response[CustomerOut]:
    """Totals show every order that was answered before. Analysts get it without personal data."""
    out = await service.get(principal, customer_id)
    return with_etag(out, out.version)


@get("/{customer_id:str}/timeline", operation_id="GetTimeline", summary="All that happened, latest first", opt=STAFF)
async def get_timeline(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    customer_id: FromPath[str],
    kind: Annotated[TimelineKind | None, QueryParameter(description="Only one kind.")] = None,
) -> Response[Listed[TimelineEntry]]:
    """Orders, browsing events and interactions, merged by time."""
    kinds = None if kind is None else [kind]
    return listed(request, await service.read_timeline(principal, customer_id, kinds, page_request))


router = Router("/customers", route_handlers=[get_customer, get_timeline], tags=["customers"])
