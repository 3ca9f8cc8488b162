"""/api/v1/audit."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.params import FromQuery, QueryParameter

from crm.audit import service
from crm.audit.schemas import AuditEntryOut
from crm.audit.service import Action, AuditFilter
from crm.web.access import ADMIN_ONLY
from crm.web.dependencies import AskedPage, Caller
from crm.web.lists import Listed, listed, lists, moment, time

_Id = Annotated[str | None, QueryParameter(min_length=1, max_length=200)]


@get(
    "/", operation_id="ListAuditEntries", summary="Who did what to whose data", opt=lists(ADMIN_ONLY, service.LISTINGS)
)
async def list_audit_entries(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    actor: _Id = None,
    target: _Id = None,
    action: FromQuery[Action | None] = None,
    after: Annotated[str | None, time("At this time or later")] = None,
    before: Annotated[str | None, time("Before this time")] = None,
) -> Response[Listed[AuditEntryOut]]:
    """The latest first: by ``actor`` (a user or key), ``target`` (a customer, or another thing) or ``action``.

    Reading this is an entry, too.
    """
    wanted = AuditFilter(actor, target, action, moment("after", after), moment("before", before))
    return listed(request, await service.page(principal, wanted, page_request))


router = Router("/audit", route_handlers=[list_audit_entries], tags=["audit"])
