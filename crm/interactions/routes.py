"""/api/v1/interactions."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from crm.interactions import service
from crm.interactions.schemas import (
    InteractionCreate,
    InteractionFilter,
    InteractionOut,
    InteractionUpdate,
    TaskStatus,
)
from crm.web.access import ADMIN_ONLY, STAFF
from crm.web.dependencies import AskedPage, Caller, Ids
from crm.web.idempotency import creates
from crm.web.lists import Listed, listed, lists, moment, time
from crm.web.versions import expected_version, with_etag


@get(
    "/",
    operation_id="ListInteractions",
    summary="List talks with a customer, or tasks",
    opt=lists(STAFF, service.LISTINGS),
)
async def list_interactions(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    customer_id: Annotated[str | None, QueryParameter(min_length=1, max_length=100)] = None,
    assignee: Annotated[
        str | None, QueryParameter(min_length=1, max_length=100, description="A user id, or me.")
    ] = None,
    status: FromQuery[TaskStatus | None] = None,
    mentions: Annotated[
        str | None,
        QueryParameter(min_length=1, max_length=120, description="order: and an id, or product: and a SKU."),
    ] = None,
    due_after: Annotated[str | None, time("Tasks due at this time or later")] = None,
    due_before: Annotated[str | None, time("Tasks due before this time")] = None,
) -> Response[Listed[InteractionOut]]:
    """Talks by ``customer_id`` or ``mentions``; tasks by ``status``, alone or with ``assignee`` or ``customer_id``."""
    wanted = InteractionFilter(
        customer_id=customer_id,
        assignee=assignee,
        status=status,
        mentions=mentions,
        due_after=moment("due_after", due_after),
        due_before=moment("due_before", due_before),
    )
    return listed(request, await service.page(principal, wanted, page_request))


@post("/", operation_id="CreateInteraction", summary="Note an interaction", opt=creates(STAFF))
async def create_interaction(
    principal: Caller, new_ids: Ids, data: JSONBody[InteractionCreate]
) -> Response[InteractionOut]:
    """The author is who is signed in."""
    out = await service.create(principal, data, interaction_id=new_ids.id("int"))
    return with_etag(out, out.version, status=201, headers={"Location": f"{service.PATH}/{out.id}"})


@get("/{interaction_id:str}", operation_id="GetInteraction", summary="Read an interaction", opt=STAFF)
async def get_interaction(principal: Caller, interaction_id: FromPath[str]) -> Response[InteractionOut]:
    """With its text."""
    out = await service.get(principal, interaction_id)
    return with_etag(out, out.version)


@patch("/{interaction_id:str}", operation_id="UpdateInteraction", summary="Change an interaction", opt=STAFF)
async def update_interaction(
    request: Request[Any, Any, Any], principal: Caller, interaction_id: FromPath[str], data: JSONBody[InteractionUpdate]
) -> Response[InteractionOut]:
    """A merge patch; needs If-Match, or the version in the body."""
    out = await service.update(principal, interaction_id, data, expected_version(request, data))
    return with_etag(out, out.version)


@delete("/{interaction_id:str}", operation_id="DeleteInteraction", summary="Delete an interaction", opt=ADMIN_ONLY)
async def delete_interaction(principal: Caller, interaction_id: FromPath[str]) -> None:
    """For good: what should never have been noted."""
    await service.delete(principal, interaction_id)


router = Router(
    "/interactions",
    route_handlers=[list_interactions, create_interaction, get_interaction, update_interaction, delete_interaction],
    tags=["interactions"],
)
