"""/api/v1/customers."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Request, Response, Router, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from crm.customers import service
from crm.customers.schemas import (
    Consent,
    CustomerChangeOut,
    CustomerCreate,
    CustomerOut,
    CustomerUpdate,
    RevealedOut,
    RevealIn,
)
from crm.errors import UnreadableRequest
from crm.web.access import READERS, STAFF, STAFF_AND_INGEST, further_filters
from crm.web.dependencies import AskedPage, Caller, Configured, Ids
from crm.web.idempotency import creates
from crm.web.lists import Listed, listed, lists
from crm.web.problems import refuses
from crm.web.versions import expected_version, with_etag

_SEARCHED = (
    "A search: an id, e-mail address, telephone number, order number, a name, or how they begin. Stands alone, but for "
    "a limit; the best come first, a hundred at most, and `truncated` says whether there may be more."
)
#: What stands before the names of custom fields in a query string.
FIELD: Final = "field."
_Text = Annotated[str | None, QueryParameter(min_length=1, max_length=254)]


@get(
    "/",
    operation_id="ListCustomers",
    summary="List or find customers",
    opt={
        **lists(READERS, service.LISTINGS),
        "further_filters": FIELD,
        **refuses(s422="What is looked for is no e-mail address, telephone number or name."),
    },
)
async def list_customers(
    request: Request[Any, Any, Any],
    principal: Caller,
    settings: Configured,
    page_request: AskedPage,
    email: _Text = None,
    phone: _Text = None,
    last_name: Annotated[str | None, QueryParameter(min_length=1, max_length=200, description="A prefix.")] = None,
    tag: _Text = None,
    external_source: _Text = None,
    external_id: _Text = None,
    q: Annotated[str | None, QueryParameter(min_length=1, max_length=100, description=_SEARCHED)] = None,
) -> Response[Listed[CustomerOut]]:
    """One filter at a time; e-mail and phone are found however they are spelled. `q` searches everywhere.

    ``field.<name>`` finds those with a value in a custom field that is indexed.
    """
    if (external_id is None) != (external_source is None):
        raise UnreadableRequest("external_id and external_source go together.")
    filters = {
        "email": email,
        "phone": phone,
        "last_name": last_name,
        "tag": tag,
        "external_source": external_source,
        "external_id": external_id,
    }
    region = settings.default_phone_region
    own = further_filters(request, FIELD)
    if q is None:
        page = await service.page(principal, filters, page_request, phone_region=region, attributes=own)
        return listed(request, page)
    filters |= {FIELD: "…"} if own else {}
    found = await request.app.state.search_customers(principal, q, page_request, filters, phone_region=region)
    return listed(request, found)


@post("/", operation_id="CreateCustomer", summary="Create a customer", opt=creates(STAFF_AND_INGEST))
async def create_customer(
    principal: Caller, settings: Configured, new_ids: Ids, data: JSONBody[CustomerCreate]
) -> Response[CustomerOut]:
    """409 when the e-mail or an external id belongs to somebody already."""
    region = settings.default_phone_region
    out = await service.create(principal, data, phone_region=region, customer_id=new_ids.id("cus"))
    return with_etag(out, out.version, status=201, headers={"Location": f"/api/v1/customers/{out.id}"})


@patch("/{customer_id:str}", operation_id="UpdateCustomer", summary="Change a customer", opt=STAFF_AND_INGEST)
async def update_customer(
    request: Request[Any, Any, Any],
    principal: Caller,
    settings: Configured,
    customer_id: FromPath[str],
    data: JSONBody[CustomerUpdate],
) -> Response[CustomerOut]:
    """A merge patch; needs If-Match, or the version in the body."""
    version = expected_version(request, data)
    out = await service.update(principal, customer_id, data, version, phone_region=settings.default_phone_region)
    return with_etag(out, out.version)


@post(
    "/{customer_id:str}/consents",
    operation_id="AddConsent",
    summary="Add to the ledger of consents",
    opt=creates(STAFF),
)
async def add_consent(
    principal: Caller, new_ids: Ids, customer_id: FromPath[str], data: JSONBody[Consent]
) -> Response[CustomerOut]:
    """Consents are added, never overwritten: of a channel the one with the latest `at` holds."""
    out = await service.add_consent(principal, customer_id, data, key=new_ids.id("con"))
    return with_etag(out, out.version, status=201)


@get(
    "/{customer_id:str}/changes",
    operation_id="ListCustomerChanges",
    summary="What was changed, by whom, when",
    opt=lists(STAFF, service.CHANGES),
)
async def list_customer_changes(
    request: Request[Any, Any, Any], principal: Caller, page_request: AskedPage, customer_id: FromPath[str]
) -> Response[Listed[CustomerChangeOut]]:
    """Each edit with its fields before and after, the latest first, whoever made it: staff, or a system's push."""
    return listed(request, await service.changes(principal, customer_id, page_request))


@post(
    "/{customer_id:str}/reveal",
    operation_id="RevealCustomer",
    summary="See what is hidden, with a reason",
    opt=STAFF,
    status_code=200,
)
async def reveal_customer(principal: Caller, customer_id: FromPath[str], data: JSONBody[RevealIn]) -> RevealedOut:
    """For whoever lacks the permission pii:read; each request is in the audit log."""
    return await service.reveal(principal, customer_id, data)


router = Router(
    "/customers",
    route_handlers=[
        list_customers, create_customer, update_customer, add_consent, list_customer_changes, reveal_customer,
    ],
    tags=["customers"],
)  # fmt: skip
