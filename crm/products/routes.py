"""/api/v1/products."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get, put
from litestar.params import FromPath, JSONBody, QueryParameter

from crm.products import service
from crm.products.schemas import ProductOut, ProductPut, ProductPutOut
from crm.web.access import READERS, SENDERS
from crm.web.dependencies import AskedPage, Caller
from crm.web.lists import Listed, listed, lists
from crm.web.paths import rest_of_path
from crm.web.versions import with_etag


@get("/", operation_id="ListProducts", summary="List products", opt=lists(READERS, service.LISTINGS))
async def list_products(
    request: Request[Any, Any, Any],
    principal: Caller,
    page_request: AskedPage,
    category: Annotated[str | None, QueryParameter(min_length=1, max_length=200)] = None,
) -> Response[Listed[ProductOut]]:
    """By SKU."""
    return listed(request, await service.page(principal, category, page_request))


@put("/{sku:path}", operation_id="PutProduct", summary="Create or replace a product", opt=SENDERS)
async def put_product(
    request: Request[Any, Any, Any],
    principal: Caller,
    sku: FromPath[str],  # noqa: ARG001  read to the letter from the raw path
    data: JSONBody[ProductPut],
) -> Response[ProductPutOut]:
    """201 when it is new; the same content again is 200 and changes nothing."""
    out = await service.put(principal, rest_of_path(request, "/products/", longest=100), data)
    return with_etag(out, out.version, status=201 if out.result == "created" else 200)


@get("/{sku:path}", operation_id="GetProduct", summary="Read a product", opt=READERS)
async def get_product(
    request: Request[Any, Any, Any],
    principal: Caller,
    sku: FromPath[str],  # noqa: ARG001  read to the letter from the raw path
) -> Response[ProductOut]:
    """By SKU."""
    out = await service.get(principal, rest_of_path(request, "/products/", longest=100))
    return with_etag(out, out.version)


router = Router("/products", route_handlers=[list_products, put_product, get_product], tags=["products"])
