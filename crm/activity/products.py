"""When two mentions in events mean the same product, and what is kept of one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crm.database.ids import from_bson

_NAMES: Final = ("product_id", "sku", "variant")
_SHOWN: Final = ("product_id", "sku", "variant", "name", "price", "url", "image_url")


def named(product: Mapping[str, Any]) -> bool:
    """Whether a mention says which product it is."""
    return product.get("product_id") is not None or product.get("sku") is not None


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether all that both say of id, SKU and variant is equal, and they share the id or the SKU.

    Shops name a product by both when it goes into the cart, and often by one of them when it goes out.
    """
    shared = [name for name in _NAMES if one.get(name) is not None and other.get(name) is not None]
    return any(name != "variant" for name in shared) and all(one[name] == other[name] for name in shared)


def shown(product: Mapping[str, Any], currency: str | None) -> dict[str, Any]:
    """What is kept of a mention; a price has the currency of its event."""
    kept = {name: from_bson(product[name]) for name in _SHOWN if product.get(name) is not None}
    return {**kept, "currency": currency} if currency is not None and "price" in kept else kept
