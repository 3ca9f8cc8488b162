"""/api/v1/customers/bulk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from litestar import Request, Router, post

from crm.audit import service as audit
from crm.audit.service import Action
from crm.customers import filling
from crm.customers.schemas import CustomerCreate
from crm.identity import Principal
from crm.in_turn import each_in_turn
from crm.web import ndjson
from crm.web.access import SENDERS
from crm.web.dependencies import Caller, Configured


@post(
    "/bulk",
    operation_id="SendCustomers",
    summary="Create customers, or fill in what is lacking of them",
    opt={**SENDERS, **ndjson.takes(CustomerCreate)},
    status_code=200,
    request_max_body_size=None,
)
async def send_customers(
    request: Request[Any, Any, Any], principal: Caller, settings: Configured
) -> ndjson.Exchange[CustomerCreate]:
    """Any number of lines. A customer is known by an external id or the e-mail; nothing that is there is changed."""
    await audit.record(principal, Action.CUSTOMER_BULK)
    return ndjson.Exchange(
        request, CustomerCreate, _first_name_of, partial(_store, principal, settings.default_phone_region)
    )


async def _store(
    principal: Principal, phone_region: str | None, lines: Sequence[CustomerCreate]
) -> list[ndjson.Answer]:
    async def store(line: CustomerCreate) -> ndjson.Taken:
        customer_id, result = await filling.create_or_fill_in(principal, line, phone_region=phone_region)
        return ndjson.Taken(result, {"id": customer_id})

    stored = await each_in_turn(lines, _first_name_of, store)
    return list(stored)


def _first_name_of(line: CustomerCreate) -> tuple[str, str]:
    """Lines that name a customer in the same way are stored in their order; for the others the database decides."""
    if line.external_ids:
        return line.external_ids[0].source, line.external_ids[0].id
    return "", line.email or ""


router = Router("/customers", route_handlers=[send_customers], tags=["customers"])
