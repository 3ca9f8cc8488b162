"""/api/v1/orders."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, get, patch, post, put
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter

from crm.config import Settings
from crm.identity import Principal
from crm.orders import service
from crm.orders.schemas import (
    OrderChange,
    OrderOut,
    OrderPut,
    OrderPutOut,
    OrderUpdate,
    Reconciled,
    RefundedOrderOut,
    RefundIn,
)
from crm.orders.states import Status
from crm.web.access import READERS, SENDERS, STAFF, acting
from crm.web.bodies import read
from crm.web.dependencies import AskedPage, Caller, Ids, configured
from crm.web.hot_routes import Answer, Asked, hot
from crm.web.idempotency import creates
from crm.web.lists import Listed, listed, lists, moment, time
from crm.web.paths import rest_of_path
from crm.web.problems import refuses
from crm.web.versions import etag, expected_version, with_etag, with_etag_encoded

_Source = Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]


@get("/", operation_id="ListOrders", summary="List orders", opt=lists(READERS, service.LISTINGS))
async def list_orders(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    customer_id: Annotated[str | None, QueryParameter(min_length=1, max_length=100)] = None,
    status: FromQuery[Status | None] = None,
    attached: Annotated[bool | None, QueryParameter(description="false lists walk-in sales.")] = None,
    number: Annotated[str | None, QueryParameter(min_length=1, max_length=100)] = None,
    source: Annotated[str | None, QueryParameter(min_length=1, max_length=64)] = None,
    placed_after: Annotated[str | None, time("Placed at or after")] = None,
    placed_before: Annotated[str | None, time("Placed before")] = None,
) -> Response[Listed[OrderOut]]:
    """The latest first; times bound any of the other filters."""
    after, before = moment("placed_after", placed_after), moment("placed_before", placed_before)
    wanted = service.OrderFilter(customer_id, status, attached, number, source, after, before)
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


@post("/{order_id:str}/refunds", operation_id="RefundOrder", summary="Record a refund", opt=creates(SENDERS))
async def refund_order(
    principal: Caller, new_ids: Ids, order_id: FromPath[str], data: JSONBody[RefundIn]
) -> Response[RefundedOrderOut]:
    """Never more than was paid. With an ``id`` of yours, send it again as often as you like."""
    done = await service.refund(principal, order_id, data, refund_id=new_ids.id("rfd"))
    return with_etag_encoded(RefundedOrderOut, done.wire(), done.order.version, status=201 if done.new else 200)


@get(
    "/reconcile",
    operation_id="ReconcileOrders",
    summary="Find what is missing here",
    opt=lists(SENDERS, service.RECONCILED),
)
async def reconcile(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    source: Annotated[str, QueryParameter(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")],
    from_: Annotated[str | None, time("Placed at or after", name="from")] = None,
    to: Annotated[str | None, time("Placed before")] = None,
) -> Response[Listed[Reconciled]]:
    """A source's orders by the time they were placed: compare them with the shop's own, and push what differs."""
    start, end = moment("from", from_), moment("to", to)
    return listed(request, await service.reconcile(principal, source, start, end, page_request))


async def _push(asked: Asked) -> Answer:
    """``put_order`` on the short road."""
    source, external_id = asked.path
    return await _put(asked.principal, asked.settings, source, external_id, read(OrderPut, asked.body))


# Not what the router takes for something else: a source called "reconcile", an order called "refunds" or "refunds/…".
_HOT: Final = hot(
    _push,
    source=r"(?!reconcile$)[A-Za-z0-9][A-Za-z0-9._:-]{0,63}",
    external_id=r"(?!refunds(/|$))[^/\x00][^\x00]{0,199}",
)


@put("/{source:str}/{external_id:path}", operation_id="PutOrder", summary="Push an order", opt={**SENDERS, **_HOT})
async def put_order(
    request: Request[Any, Any, Any],
    source: _Source,
    external_id: FromPath[str],  # noqa: ARG001  read to the letter from the raw path
    data: JSONBody[OrderPut],
) -> Response[OrderPutOut]:
    """Create or replace. Send it again as often as you like: ``result`` says what happened."""
    return await _put_by_request(request, source, data)


@get("/{source:str}/{external_id:path}", operation_id="GetOrderBySource", summary="Read an order", opt=READERS)
async def get_order_by_source(
    request: Request[Any, Any, Any],
    principal: Caller,
    source: _Source,
    external_id: FromPath[str],  # noqa: ARG001  read to the letter from the raw path
) -> Response[OrderOut]:
    """By the sending system's own id, whatever characters it has."""
    return await _get(request, principal, source)


# The router prefers the literal "refunds" below to any id of another system, and then knows no PUT or GET: these two
# are for the systems that call an order "refunds" or "refunds/…".
_NAMED_REFUNDS: Final = ["/{order_id:str}/refunds", "/{order_id:str}/refunds/{rest:path}"]


@put(_NAMED_REFUNDS, include_in_schema=False, opt=SENDERS)
async def put_order_named_refunds(
    request: Request[Any, Any, Any], order_id: _Source, data: JSONBody[OrderPut]
) -> Response[OrderPutOut]:
    """``put_order``."""
    return await _put_by_request(request, order_id, data)


@get(_NAMED_REFUNDS, include_in_schema=False, opt=READERS)
async def get_order_named_refunds(
    request: Request[Any, Any, Any], principal: Caller, order_id: _Source
) -> Response[OrderOut]:
    """``get_order_by_source``."""
    return await _get(request, principal, order_id)


async def _put_by_request(request: Request[Any, Any, Any], source: str, data: OrderPut) -> Response[OrderPutOut]:
    name = rest_of_path(request, "/orders/", 1)
    return (await _put(acting(request), configured(request), source, name, data)).as_response(OrderPutOut)


async def _put(principal: Principal, settings: Settings, source: str, name: str, data: OrderPut) -> Answer:
    region, most_items = settings.default_phone_region, settings.most_order_items
    pushed = await service.put(principal, source, name, data, phone_region=region, most_items=most_items)
    status = 201 if pushed.result == "created" else 200
    return Answer(msgspec.json.encode(pushed.wire()), status, (("ETag", etag(pushed.row["version"])),))


async def _get(request: Request[Any, Any, Any], principal: Principal, source: str) -> Response[OrderOut]:
    out = await service.get_external(principal, source, rest_of_path(request, "/orders/", 1))
    return with_etag(out, out.version)


@get(
    "/{customer_id:str}/orders",
    operation_id="ListCustomerOrders",
    summary="A customer's orders",
    opt=lists(READERS, service.LISTINGS),
)
async def list_customer_orders(
    request: Request[Any, Any, Any], principal: Caller, page_request: AskedPage, customer_id: FromPath[str]
) -> Response[Listed[OrderOut]]:
    """The latest first."""
    wanted = service.OrderFilter(customer_id=customer_id)
    await service.require_customer(customer_id)
    return listed(request, await service.page(principal, wanted, page_request))


@get(
    "/",
    operation_id="ListOrderChanges",
    summary="What changed of an order, who and when",
    opt={**lists(STAFF, service.VERSIONS), **refuses(s404="There is no such order.")},
)
async def list_order_changes(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    order_id: Annotated[str, QueryParameter(min_length=1, max_length=100)],
) -> Response[Listed[OrderChange]]:
    """The latest change first, with each changed field before and after."""
    return listed(request, await service.history(principal, order_id, page_request))


router = Router(
    "/orders",
    route_handlers=[
        list_orders,
        get_order,
        update_order,
        refund_order,
        reconcile,
        put_order,
        get_order_by_source,
        put_order_named_refunds,
        get_order_named_refunds,
    ],
    tags=["orders"],
)
customer_router = Router("/customers", route_handlers=[list_customer_orders], tags=["customers"])
changes_router = Router("/order-changes", route_handlers=[list_order_changes], tags=["orders"])
