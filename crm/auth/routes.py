"""/api/v1/auth."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import URLEncodedBody

from crm.auth import service
from crm.auth.schemas import ColleagueOut, PasswordForm, PrincipalOut, TokenOut
from crm.identity import Role
from crm.web.access import PUBLIC, STAFF, allow
from crm.web.client import household
from crm.web.dependencies import AskedPage, Caller, Configured
from crm.web.lists import Listed, listed, lists


@post(
    "/token",
    operation_id="SignIn",
    summary="Exchange e-mail and password for a token",
    opt={**PUBLIC, "content_types": ("application/x-www-form-urlencoded",)},
    status_code=200,
)
async def sign_in(
    principal: Caller,
    settings: Configured,
    data: URLEncodedBody[PasswordForm],
) -> TokenOut:
    """The OAuth2 password form. Repeated failures are slowed down: 429 with Retry-After."""
    address = household(principal.address or "unknown")
    return await service.sign_in(principal, data.username, data.password[:1000], address, settings)


@get("/me", operation_id="WhoAmI", summary="Who is signed in", opt=allow(*Role))
async def who_am_i(principal: Caller) -> PrincipalOut:
    """The user or key of this request."""
    return PrincipalOut(
        id=principal.id,
        role=principal.role.value,
        name=principal.name,
        kind=principal.kind,
        permissions=sorted(principal.permissions),
    )


@get(
    "/colleagues",
    operation_id="ListColleagues",
    summary="Who can be given tasks",
    opt=lists(STAFF, service.COLLEAGUES),
)
async def list_colleagues(
    request: Request[Any, Any, Any], principal: Caller, page_request: AskedPage
) -> Response[Listed[ColleagueOut]]:
    """Admins and salespeople who are not disabled, the oldest first."""
    return listed(request, await service.colleagues(principal, page_request))


router = Router("/auth", route_handlers=[sign_in, who_am_i, list_colleagues], tags=["auth"])
