"""Shopify's products and customers as ours. Pure."""

from __future__ import annotations

from pydantic import ValidationError

from crm.connectors import reading
from crm.connectors.balancing import refusal
from crm.connectors.reading import Json
from crm.connectors.shopify.mapping import sku_of
from crm.customers.schemas import CustomerRef
from crm.products.schemas import Price, ProductPut

_ONLY_VARIANT = "Default Title"


def products(data: Json, *, currency: str | None, shop: str | None) -> dict[str, ProductPut]:
    """Each variant is a product of ours, by its SKU.

    Args:
        data: The product of ``products/*``.
        currency: Of the shop: the product does not say. Without it there is no price.
        shop: Its address, for links.

    Raises:
        Unmappable: A price cannot be read, or the product has no title.
    """
    handle = reading.text(data, "handle")
    published = reading.has(data, "published_at") and handle and shop
    pictures = {reading.identifier(image, "id"): image.get("src") for image in reading.each(data, "images")}
    title, description = reading.text(data, "title"), reading.prose(data, "body_html")
    out = {}
    for variant in reading.each(data, "variants"):
        name = reading.text(variant, "title")
        out[sku_of(variant, reading.required_id(variant))] = _put(
            {
                "title": title if title is None or name in {None, _ONLY_VARIANT} else f"{title} - {name}"[:200],
                "description": description,
                "price": _price(variant, currency),
                "category": reading.text(data, "product_type"),
                "url": reading.url(f"https://{shop}/products/{handle}") if published else None,
                "image_url": reading.url(
                    pictures.get(reading.identifier(variant, "image_id")), reading.inner(data, "image").get("src")
                ),
                "active": (reading.text(data, "status") or "active") == "active",
            }
        )
    return out


def customer(data: Json) -> CustomerRef:
    """The customer of ``customers/*``.

    Raises:
        Unmappable: There is no id.
    """
    address = reading.inner(data, "default_address")
    return CustomerRef(
        external_id=reading.required_id(data),
        email=reading.email(data.get("email")),
        phone=reading.phone(data.get("phone"), address.get("phone")),
        first_name=reading.text(data, "first_name") or reading.text(address, "first_name"),
        last_name=reading.text(data, "last_name") or reading.text(address, "last_name"),
    )


def _price(variant: Json, currency: str | None) -> Price | None:
    if currency is None or not reading.has(variant, "price"):
        return None
    try:
        return Price(amount=f"{reading.amount(variant, 'price'):f}", currency=currency)
    except ValidationError as exc:
        raise refusal(exc) from None


def _put(fields: dict[str, object]) -> ProductPut:
    try:
        return ProductPut.model_validate(fields)
    except ValidationError as exc:
        raise refusal(exc) from None
