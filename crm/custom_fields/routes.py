"""/api/v1/custom-fields."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from crm.custom_fields import service
from crm.custom_fields.schemas import CustomFieldCreate, CustomFieldOut, CustomFieldUpdate
from crm.web.access import ADMIN_ONLY, STAFF_AND_INGEST
from crm.web.dependencies import AskedPage, Caller
from crm.web.idempotency import creates
from crm.web.lists import Listed, listed, lists
from crm.web.versions import expected_version, with_etag


@get(
    "/",
    operation_id="ListCustomFields",
    summary="List custom fields",
    opt=lists(STAFF_AND_INGEST, service.LISTINGS),
)
async def list_custom_fields(
    request: Request[Any, Any, Any], principal: Caller, page_request: AskedPage
) -> Response[Listed[CustomFieldOut]]:
    """What customers' attributes of these names may hold; any other attribute may hold anything."""
    return listed(request, await service.page(principal, page_request))


@post("/", operation_id="CreateCustomField", summary="Define a custom field", opt=creates(ADMIN_ONLY))
async def create_custom_field(principal: Caller, data: JSONBody[CustomFieldCreate]) -> Response[CustomFieldOut]:
    """Answered once MongoDB enforces it; 409 when customers have other values there, with how many and some ids."""
    out = await service.define(principal, data)
    return with_etag(out, out.version, status=201, headers={"Location": f"/api/v1/custom-fields/{out.name}"})


@get("/{name:str}", operation_id="GetCustomField", summary="Read a custom field", opt=STAFF_AND_INGEST)
async def get_custom_field(principal: Caller, name: FromPath[str]) -> Response[CustomFieldOut]:
    """With its state: whether MongoDB is known to enforce it."""
    out = await service.get(principal, name)
    return with_etag(out, out.version)


@patch("/{name:str}", operation_id="UpdateCustomField", summary="Change a custom field", opt=ADMIN_ONLY)
async def update_custom_field(
    request: Request[Any, Any, Any], principal: Caller, name: FromPath[str], data: JSONBody[CustomFieldUpdate]
) -> Response[CustomFieldOut]:
    """A merge patch; needs If-Match, or the version in the body. Name and type stay."""
    out = await service.change(principal, name, data, expected_version(request, data))
    return with_etag(out, out.version)


@delete("/{name:str}", operation_id="DeleteCustomField", summary="Remove a custom field", opt=ADMIN_ONLY)
async def delete_custom_field(principal: Caller, name: FromPath[str]) -> None:
    """What customers have there stays, as an attribute that may be anything."""
    await service.remove(principal, name)


router = Router(
    "/custom-fields",
    route_handlers=[
        list_custom_fields,
        create_custom_field,
        get_custom_field,
        update_custom_field,
        delete_custom_field,
    ],
    tags=["custom fields"],
)
