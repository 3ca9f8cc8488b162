"""WooCommerce's products and customers as ours. Pure."""

from __future__ import annotations

from pydantic import ValidationError

from crm.connectors import reading
from crm.connectors.balancing import refusal
from crm.connectors.reading import Json
from crm.connectors.woocommerce.mapping import sku_of
from crm.customers.schemas import CustomerRef
from crm.products.schemas import ProductPut


def product(data: Json, *, currency: str | None) -> tuple[str, ProductPut]:
    """A product or a variation of one, and its SKU.

    Args:
        data: The product of ``product.*``.
        currency: Of the shop: the product does not say. Without it there is no price.

    Raises:
        Unmappable: A price cannot be read, or there is no id or name.
    """
    own_id = reading.required_id(data)
    is_variation = reading.text(data, "type") == "variation"
    sku = sku_of(data, variation_id=own_id if is_variation else None, product_id=own_id)
    priced = currency is not None and reading.has(data, "price")
    first = next((reading.text(category, "name") for category in reading.each(data, "categories")), None)
    fields = {
        "title": reading.text(data, "name"),
        "description": reading.prose(data, "description") or reading.prose(data, "short_description"),
        "price": {"amount": f"{reading.amount(data, 'price'):f}", "currency": currency} if priced else None,
        "category": first,
        "url": reading.url(data.get("permalink")),
        "image_url": reading.url(*(image.get("src") for image in reading.each(data, "images"))),
        "active": (reading.text(data, "status") or "publish") == "publish",
    }
    try:
        return sku, ProductPut.model_validate(fields)
    except ValidationError as exc:
        raise refusal(exc) from None


def customer(data: Json) -> CustomerRef:
    """The customer of ``customer.*``.

    Raises:
        Unmappable: There is no id.
    """
    billing = reading.inner(data, "billing")
    return CustomerRef(
        external_id=reading.required_id(data),
        email=reading.email(data.get("email"), billing.get("email")),
        phone=reading.phone(billing.get("phone")),
        first_name=reading.text(data, "first_name") or reading.text(billing, "first_name"),
        last_name=reading.text(data, "last_name") or reading.text(billing, "last_name"),
    )
