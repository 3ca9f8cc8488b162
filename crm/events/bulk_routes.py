"""/api/v1/events/bulk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from litestar import Request, Router, post

from crm.audit import service as audit
from crm.audit.service import Action
from crm.errors import CrmError
from crm.events import service
from crm.events.schemas import EventIn
from crm.identity import Principal
from crm.web import ndjson
from crm.web.access import SENDERS
from crm.web.dependencies import Caller, Configured


@post(
    "/bulk",
    operation_id="StoreManyEvents",
    summary="Store many browsing events",
    opt={**SENDERS, **ndjson.takes(EventIn)},
    status_code=200,
    request_max_body_size=None,
)
async def store_many_events(
    request: Request[Any, Any, Any], principal: Caller, settings: Configured
) -> ndjson.Exchange[EventIn]:
    """Any number of lines, each an event; one that is there already is ``unchanged``."""
    await audit.record(principal, Action.EVENT_BULK)
    return ndjson.Exchange(
        request,
        EventIn,
        lambda line: (line.source, line.message_id),
        partial(_store, principal, settings.default_phone_region),
    )


async def _store(principal: Principal, phone_region: str | None, lines: Sequence[EventIn]) -> list[ndjson.Answer]:
    stored = await service.store_each(principal, lines, phone_region=phone_region)
    return [
        found if isinstance(found, CrmError) else ndjson.Taken("created" if found[1] else "unchanged", {"id": found[0]})
        for found in stored
    ]


router = Router("/events", route_handlers=[store_many_events], tags=["events"])
