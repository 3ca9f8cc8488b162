"""/api/v1/products/bulk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from litestar import Request, Response, Router, get, post, put
from litestar.params import JSONBody

from crm.audit import service as audit
from crm.audit.service import Action
from crm.errors import CrmError
from crm.identity import Principal
from crm.in_turn import each_in_turn
from crm.products import service
from crm.products.schemas import ProductLine, ProductOut, ProductPut, ProductPutOut
from crm.web import ndjson
from crm.web.access import READERS, SENDERS
from crm.web.dependencies import Caller
from crm.web.paths import rest_of_path
from crm.web.versions import with_etag


@post(
    "/bulk",
    operation_id="PutProducts",
    summary="Create or replace many products",
    opt={**SENDERS, **ndjson.takes(ProductLine)},
    status_code=200,
    request_max_body_size=None,
)
async def put_products(request: Request[Any, Any, Any], principal: Caller) -> ndjson.Exchange[ProductLine]:
    """Any number of lines, each a product with its SKU; send them again as often as you like."""
    await audit.record(principal, Action.PRODUCT_BULK)
    return ndjson.Exchange(request, ProductLine, lambda line: line.sku, partial(_store, principal))


async def _store(principal: Principal, lines: Sequence[ProductLine]) -> list[ndjson.Answer]:
    async def store(line: ProductLine) -> ProductPutOut:
        return await service.put(principal, line.sku, line.wanted())

    stored = await each_in_turn(lines, lambda line: line.sku, store)
    return [
        found if isinstance(found, CrmError) else ndjson.Taken(found.result, {"sku": found.sku}) for found in stored
    ]


@put("/bulk", opt=SENDERS, include_in_schema=False)
async def put_product_called_bulk(
    request: Request[Any, Any, Any], principal: Caller, data: JSONBody[ProductPut]
) -> Response[ProductPutOut]:
    """The product whose SKU is ``bulk``: this path hides it from ``/{sku}``."""
    out = await service.put(principal, rest_of_path(request, "/products/", longest=100), data)
    return with_etag(out, out.version, status=201 if out.result == "created" else 200)


@get("/bulk", opt=READERS, include_in_schema=False)
async def get_product_called_bulk(request: Request[Any, Any, Any], principal: Caller) -> Response[ProductOut]:
    """The product whose SKU is ``bulk``."""
    out = await service.get(principal, rest_of_path(request, "/products/", longest=100))
    return with_etag(out, out.version)


router = Router(
    "/products", route_handlers=[put_products, put_product_called_bulk, get_product_called_bulk], tags=["products"]
)
