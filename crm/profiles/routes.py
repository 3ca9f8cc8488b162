"""What spans features, under /api/v1/customers/{id}."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.params import FromPath, QueryParameter

from crm.customers.schemas import CustomerOut
from crm.profiles import service
from crm.profiles.schemas import OverviewOut, TimelineEntry, TimelineKind
from crm.web.access import READERS, STAFF
from crm.web.dependencies import AskedPage, Caller, Configured
from crm.web.lists import Listed, listed, lists
from crm.web.versions import with_etag


@get("/{customer_id:str}", operation_id="GetCustomer", summary="Read a customer", opt=READERS)
async def get_customer(principal: Caller, customer_id: FromPath[str]) -> Response[CustomerOut]:
    """Totals show every order that was answered before. Analysts get it without personal data."""
    out = await service.get(principal, customer_id)
    return with_etag(out, out.version)


@get(
    "/{customer_id:str}/overview",
    operation_id="GetOverview",
    summary="Read a customer with the latest of everything",
    opt=STAFF,
)
async def get_overview(principal: Caller, settings: Configured, customer_id: FromPath[str]) -> OverviewOut:
    """All that a conversation begins with, in one request."""
    abandoned_after = timedelta(minutes=settings.cart_abandoned_after_minutes)
    return await service.overview(principal, customer_id, abandoned_after=abandoned_after)


@get(
    "/{customer_id:str}/timeline",
    operation_id="GetTimeline",
    summary="All that happened, latest first",
    opt=lists(STAFF, service.TIMELINE),
)
async def get_timeline(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    customer_id: FromPath[str],
    kind: Annotated[TimelineKind | None, QueryParameter(description="Only one kind.")] = None,
) -> Response[Listed[TimelineEntry]]:
    """Orders, refunds, browsing events, names and interactions, merged by time; edits of the record by themselves."""
    kinds = None if kind is None else [kind]
    return listed(request, await service.read_timeline(principal, customer_id, kinds, page_request))


router = Router("/customers", route_handlers=[get_customer, get_overview, get_timeline], tags=["customers"])
