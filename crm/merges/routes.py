"""Merging under /api/v1/customers/{id}, and /api/v1/merges."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from crm.merges import service
from crm.merges.schemas import MergedOut, MergeIn, MergeOut, MergePreview, MergeWith, PartedOut
from crm.web.access import STAFF
from crm.web.dependencies import AskedPage, Caller, Configured
from crm.web.lists import Listed, listed, lists


@post(
    "/{customer_id:str}/merge-preview",
    operation_id="PreviewMerge",
    summary="What a merge would make",
    opt=STAFF,
    status_code=200,
)
async def preview_merge(
    principal: Caller, settings: Configured, customer_id: FromPath[str], data: JSONBody[MergeWith]
) -> MergePreview:
    """What each field becomes and why; of a conflict, a choice decides. Changes nothing."""
    return await service.preview(principal, customer_id, data.other, phone_region=settings.default_phone_region)


@post(
    "/{customer_id:str}/merge",
    operation_id="MergeCustomer",
    summary="Merge another customer into this one",
    opt=STAFF,
    status_code=200,
)
async def merge_customer(
    principal: Caller, settings: Configured, customer_id: FromPath[str], data: JSONBody[MergeIn]
) -> MergedOut:
    """All that belonged to the other belongs to this one; the other's id leads here for ever. 412 when one changed."""
    return await service.merge(principal, customer_id, data, phone_region=settings.default_phone_region)


@get("/", operation_id="ListMerges", summary="List merges", opt=lists(STAFF, service.LISTINGS))
async def list_merges(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    customer_id: Annotated[str | None, QueryParameter(min_length=1, max_length=100)] = None,
) -> Response[Listed[MergeOut]]:
    """The latest first."""
    return listed(request, await service.page(principal, customer_id, page_request))


@get("/{merge_id:str}", operation_id="GetMerge", summary="Read a merge", opt=STAFF)
async def get_merge(principal: Caller, merge_id: FromPath[str]) -> MergeOut:
    """Who merged whom, when, and until when it can be undone."""
    return await service.get(principal, merge_id)


@post(
    "/{merge_id:str}/undo",
    operation_id="UndoMerge",
    summary="Make two customers of one again",
    opt={**STAFF, "content_types": ()},
    status_code=200,
)
async def undo_merge(principal: Caller, settings: Configured, merge_id: FromPath[str]) -> PartedOut:
    """Within 30 days, the latest merge of a customer first. What was edited since stays with the survivor: ``kept``."""
    return await service.undo(principal, merge_id, phone_region=settings.default_phone_region)


customer_router = Router("/customers", route_handlers=[preview_merge, merge_customer], tags=["customers"])
router = Router("/merges", route_handlers=[list_merges, get_merge, undo_merge], tags=["merges"])
