"""What can be done with products."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from crm import money
from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.database.paging import Page, PageRequest
from crm.errors import AlreadyExists, NotFound, Unavailable
from crm.identity import Principal
from crm.products import queries
from crm.products.documents import Product
from crm.products.schemas import PriceOut, ProductOut, ProductPut, ProductPutOut

LISTINGS: Final = queries.LISTINGS
_ROUNDS: Final = 8
Result = Literal["created", "updated", "unchanged"]


async def put(principal: Principal, sku: str, wanted: ProductPut) -> ProductPutOut:
    """Create or replace a product; the same content again changes nothing."""
    fields = wanted.model_dump()
    if wanted.price is not None:
        exact = money.amount(wanted.price.amount, wanted.price.currency, pointer="/price/amount")
        fields["price"] = {"amount": exact, "currency": wanted.price.currency}
    async with audit.by_staff(principal, Action.PRODUCT_PUT, sku):
        return await _put(sku, fields)


async def _put(sku: str, fields: dict[str, Any]) -> ProductPutOut:
    for _ in range(_ROUNDS):
        present = await Product.fetch(queries.by_sku(sku))
        if present is None:
            try:
                return _put_out(await _insert(sku, fields), "created")
            except AlreadyExists:
                continue
        if _canonical(present.model_dump(include=set(fields))) == _canonical(fields):
            return _put_out(present, "unchanged")
        changed = await Product.change(queries.at_version(sku, present.version), queries.replaced(fields, now()))
        if changed is not None:
            return _put_out(changed, "updated")
    raise Unavailable("Too many senders change this product at once; try again.", retry_after=1)


async def get(principal: Principal, sku: str) -> ProductOut:
    """One product.

    Raises:
        NotFound: There is none with that SKU.
    """
    del principal
    found = await Product.fetch(queries.by_sku(sku))
    if found is None:
        raise NotFound("There is no such product.")
    return ProductOut(**_shape(found))


async def existing(skus: list[str]) -> set[str]:
    """Which of these SKUs are products."""
    return {row["_id"] for row in await Product.stored().find(queries.by_skus(skus))} if skus else set()


async def page(principal: Principal, category: str | None, request: PageRequest) -> Page[ProductOut]:
    """One page of products."""
    del principal
    sort = LISTINGS.choose({"category": category}, request.sort)
    chosen = queries.everything() if category is None else queries.category_filter(category)
    return (await Product.page(chosen, sort, request)).map(lambda product: ProductOut(**_shape(product)))


def _canonical(fields: dict[str, Any]) -> bytes:
    """Not Python's equality, to which 1, 1.0 and True are the same."""
    return msgspec.json.encode(fields, order="sorted")


async def _insert(sku: str, fields: dict[str, Any]) -> Product:
    moment = now()
    product = Product.from_row({"_id": sku, **fields, "created_at": moment, "updated_at": moment})
    await product.add()
    return product


def _put_out(product: Product, result: Result) -> ProductPutOut:
    return ProductPutOut(**_shape(product), result=result)


def _shape(product: Product) -> dict[str, Any]:
    price = product.price
    return {
        **product.model_dump(exclude={"id", "price", "revision_id"}),
        "sku": product.id,
        "price": PriceOut(amount=money.text(price.amount, price.currency), currency=price.currency) if price else None,
    }
