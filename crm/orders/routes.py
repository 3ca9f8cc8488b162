"""/api/v1/orders."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get, patch, put
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter

from crm.orders import service
from crm.orders.schemas import OrderOut, OrderPut, OrderPutOut, OrderUpdate
from crm.orders.states import Status
from crm.web.access import READERS, SENDERS
from crm.web.dependencies import AskedPage, Caller, Configured
from crm.web.lists import Listed, listed, moment
from crm.web.paths import rest_of_path
from crm.web.versions import expected_version, with_etag

_Time = Annotated[str | None, QueryParameter(max_length=40, description="RFC 3339, with an offset.")]
_Source = Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]


@get("/", operation_id="ListOrders", summary="List orders", opt=READERS)
async def list_orders(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    customer_id: Annotated[str | None, QueryParameter(min_length=1, max_length=100)] = None,
    status: FromQuery[Status | None] = None,
    attached: Annotated[bool | None, QueryParameter(description="false lists walk-in sales.")] = None,
    number: Annotated[str | None, QueryParameter(min_length=1, max_length=100)] = None,
    placed_after: _Time = None,
    placed_before: _Time = None,
) -> Response[Listed[OrderOut]]:
    """The latest first; times bound any of the other filters."""
    after, before = moment("placed_after", placed_after), moment("placed_before", placed_before)
    wanted = service.OrderFilter(customer_id, status, attached, number, after, before)
    return listed(request, await service.page(principal, wanted, page_request))


@get("/{order_id:str}", operation_id="GetOrder", summary="Read an order by our id", opt=READERS)
async def get_order(principal: Caller, order_id: FromPath[str]) -> Response[OrderOut]:
    """With its items."""
    out = await service.get(principal, order_id)
    return with_etag(out, out.version)


@patch("/{order_id:str}", operation_id="UpdateOrder", summary="Move, attach or annotate an order", opt=SENDERS)
async def update_order(
    request: Request[Any, Any, Any], principal: Caller, order_id: FromPath[str], data: JSONBody[OrderUpdate]
) -> Response[OrderOut]:
    """A merge patch; needs If-Match, or the version in the body."""
    out = await service.update(principal, order_id, data, expected_version(request, data))
    return with_etag(out, out.version)


@put("/{source:str}/{external_id:path}", operation_id="PutOrder", summary="Push an order", opt=SENDERS)
async def put_order(
    request: Request[Any, Any, Any],
    principal: Caller,
    settings: Configured,
    source: _Source,
    external_id: FromPath[str],  # noqa: ARG001  read to the letter from the raw path
    data: JSONBody[OrderPut],
) -> Response[OrderPutOut]:
    """Create or replace. Send it again as often as you like: ``result`` says what happened."""
    name = rest_of_path(request, "/orders/", 1)
    out = await service.put(principal, source, name, data, phone_region=settings.default_phone_region)
    return with_etag(out, out.version, status=201 if out.result == "created" else 200)


@get("/{source:str}/{external_id:path}", operation_id="GetOrderBySource", summary="Read an order", opt=READERS)
async def get_order_by_source(
    request: Request[Any, Any, Any],
    principal: Caller,
    source: _Source,
    external_id: FromPath[str],  # noqa: ARG001  read to the letter from the raw path
) -> Response[OrderOut]:
    """By the sending system's own id, whatever characters it has."""
    out = await service.get_external(principal, source, rest_of_path(request, "/orders/", 1))
    return with_etag(out, out.version)


@get("/{customer_id:str}/orders", operation_id="ListCustomerOrders", summary="A customer's orders", opt=READERS)
async def list_customer_orders(
    request: Request[Any, Any, Any], principal: Caller, page_request: AskedPage, customer_id: FromPath[str]
) -> Response[Listed[OrderOut]]:
    """The latest first."""
    wanted = service.OrderFilter(customer_id=customer_id)
    await service.require_customer(customer_id)
    return listed(request, await service.page(principal, wanted, page_request))


router = Router(
    "/orders",
    route_handlers=[list_orders, get_order, update_order, put_order, get_order_by_source],
    tags=["orders"],
)
customer_router = Router("/customers", route_handlers=[list_customer_orders], tags=["customers"])
