"""/api/v1/connections."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from crm.connections import service
from crm.connections.schemas import ConnectionCreate, ConnectionOut, ConnectionUpdate, SecretCreate
from crm.web.access import ADMIN_ONLY
from crm.web.dependencies import AskedPage, Caller, Ids
from crm.web.idempotency import creates
from crm.web.lists import Listed, listed, lists
from crm.web.versions import expected_version, with_etag


@get("/", operation_id="ListConnections", summary="List connections", opt=lists(ADMIN_ONLY, service.LISTINGS))
async def list_connections(
    request: Request[Any, Any, Any], principal: Caller, page_request: AskedPage
) -> Response[Listed[ConnectionOut]]:
    """The oldest first."""
    return listed(request, await service.page(principal, page_request))


@post("/", operation_id="CreateConnection", summary="Let a shop deliver webhooks", opt=creates(ADMIN_ONLY))
async def create_connection(
    principal: Caller, new_ids: Ids, data: JSONBody[ConnectionCreate]
) -> Response[ConnectionOut]:
    """The secret is never shown again, here or anywhere."""
    out = await service.create(principal, data, connection_id=new_ids.id("con"))
    location = {"Location": f"/api/v1/connections/{out.id}"}
    return with_etag(out, out.version, status=201, headers=location)


@get("/{connection_id:str}", operation_id="GetConnection", summary="Read a connection", opt=ADMIN_ONLY)
async def get_connection(principal: Caller, connection_id: FromPath[str]) -> Response[ConnectionOut]:
    """With the hints of its secrets."""
    out = await service.get(principal, connection_id)
    return with_etag(out, out.version)


@patch("/{connection_id:str}", operation_id="UpdateConnection", summary="Change a connection", opt=ADMIN_ONLY)
async def update_connection(
    request: Request[Any, Any, Any],
    principal: Caller,
    connection_id: FromPath[str],
    data: JSONBody[ConnectionUpdate],
) -> Response[ConnectionOut]:
    """The shop's address and currency; a disabled connection takes privacy requests only."""
    out = await service.update(principal, connection_id, data, expected_version(request, data))
    return with_etag(out, out.version)


@post(
    "/{connection_id:str}/secrets",
    operation_id="AddConnectionSecret",
    summary="Accept one more secret",
    opt=creates(ADMIN_ONLY),
)
async def add_secret(
    principal: Caller, new_ids: Ids, connection_id: FromPath[str], data: JSONBody[SecretCreate]
) -> Response[ConnectionOut]:
    """Up to five at a time, so that old and new overlap while the shop changes over."""
    out = await service.add_secret(principal, connection_id, data, secret_id=new_ids.id("sec"))
    return with_etag(out, out.version, status=201)


@delete(
    "/{connection_id:str}/secrets/{secret_id:str}",
    operation_id="RemoveConnectionSecret",
    summary="Accept a secret no longer",
    opt=ADMIN_ONLY,
    status_code=200,
)
async def remove_secret(
    principal: Caller, connection_id: FromPath[str], secret_id: FromPath[str]
) -> Response[ConnectionOut]:
    """From the next webhook on. The last secret cannot be removed."""
    out = await service.remove_secret(principal, connection_id, secret_id)
    return with_etag(out, out.version)


router = Router(
    "/connections",
    route_handlers=[
        list_connections, create_connection, get_connection, update_connection, add_secret, remove_secret,
    ],
    tags=["connections"],
)  # fmt: skip
