"""Segment's e-commerce specification: the names of its events, and the fields that we give a type. Pure.

Version 2, with the names of version 1. What does not fit its field stays in the properties as it was sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from crm.events.commerce import (
    ACTIONS,
    LAST_POSITION,
    LONGEST_LINE,
    LONGEST_URL,
    MOST_DIGITS,
    MOST_PIECES,
    MOST_PRODUCTS,
    Action,
)
from crm.money import LARGEST

_SMALL_WORDS: Final = {"to", "from"}
#: Version 2 spells its names "Product Added to Wishlist".
NAMES: Final[dict[str, Action]] = {
    " ".join(word if word in _SMALL_WORDS else word.capitalize() for word in action.split("_")): action
    for action in ACTIONS
}
#: What version 1 called them.
ALIASES: Final[dict[str, Action]] = {
    "Viewed Product": "product_viewed",
    "Viewed Product Category": "product_list_viewed",
    "Added Product": "product_added",
    "Removed Product": "product_removed",
    "Started Order": "checkout_started",
    "Updated Order": "order_updated",
    "Completed Order": "order_completed",
    "Viewed Checkout Step": "checkout_step_viewed",
    "Completed Checkout Step": "checkout_step_completed",
    "Viewed Promotion": "promotion_viewed",
    "Clicked Promotion": "promotion_clicked",
}
ACTION_OF: Final = NAMES | ALIASES

#: Their properties are those of one product, beside the event's own.
_ABOUT_ONE_PRODUCT: Final = frozenset(
    "product_clicked product_viewed product_added product_removed product_added_to_wishlist "
    "product_removed_from_wishlist wishlist_product_added_to_cart product_shared product_reviewed".split()
)
#: The address of somebody who never came here, and what was written to them.
_THIRD_PARTYS: Final = dict.fromkeys(("product_shared", "cart_shared"), ("recipient", "share_message"))

_Reader = Callable[[Any], Any]
_PLAIN: Final = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)


def _line(value: Any) -> str | None:
    if type(value) is str:
        return value if 0 < len(value) <= LONGEST_LINE else None
    return str(value) if type(value) is int and abs(value) < 10**18 else None


def _url(value: Any) -> str | None:
    return value if type(value) is str and 0 < len(value) <= LONGEST_URL else None


def _currency(value: Any) -> str | None:
    if type(value) is not str or len(value) != 3 or not value.isascii() or not value.isalpha():
        return None
    return value.upper()


def _amount(value: Any) -> Decimal | None:
    """Exact, from a number or a text."""
    if type(value) is str:
        value = Decimal(value) if len(value) <= MOST_DIGITS and _PLAIN.fullmatch(value) else None
    elif type(value) is int:
        value = Decimal(value) if abs(value) <= LARGEST else None
    if type(value) is not Decimal or value.is_signed() or value > LARGEST:
        return None
    return value


def _whole(value: Any) -> int | None:
    if type(value) is int:
        return value
    if type(value) is str:
        return int(value) if len(value) <= 7 and value.isascii() and value.isdecimal() else None
    if type(value) is Decimal and value == value.to_integral_value():
        return int(value)
    return None


def _quantity(value: Any) -> int | None:
    whole = _whole(value)
    return whole if whole is not None and 1 <= whole <= MOST_PIECES else None


def _position(value: Any) -> int | None:
    whole = _whole(value)
    return whole if whole is not None and 0 <= whole <= LAST_POSITION else None


#: Property → field and its reader. Shops write camelCase too, and version 1 called a product's id ``id``.
_OF_A_PRODUCT: Final[dict[str, tuple[str, _Reader]]] = {
    **{name: (name, _line) for name in ("product_id", "sku", "name", "brand", "category", "variant", "coupon")},
    "price": ("price", _amount),
    "quantity": ("quantity", _quantity),
    "position": ("position", _position),
    "url": ("url", _url),
    "image_url": ("image_url", _url),
    "productId": ("product_id", _line),
    "imageUrl": ("image_url", _url),
    "id": ("product_id", _line),
}
_OF_ONE_PRODUCT_EVENT: Final[dict[str, tuple[str, _Reader]]] = {
    "currency": ("currency", _currency),
    **{name: (name, _amount) for name in "value total revenue subtotal shipping tax discount".split()},
    **{name: (name, _line) for name in "order_id checkout_id cart_id wishlist_id query list_id".split()},
    **{f"{name}Id": (f"{name}_id", _line) for name in "order checkout cart wishlist list".split()},
}
_OF_AN_EVENT: Final = {**_OF_ONE_PRODUCT_EVENT, "category": ("category", _line), "coupon": ("coupon", _line)}


def understand(action: Action, properties: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The typed fields of an e-commerce event (``crm.events.commerce.Commerce``), and the properties that are left.

    Args:
        action: What happened: ``ACTION_OF`` its name.
        properties: As read with exact numbers.
    """
    commerce: dict[str, Any] = {"action": action}
    for name in _THIRD_PARTYS.get(action, ()):
        properties.pop(name, None)
    products = properties.get("products")
    if isinstance(products, list):
        rest = _take(_OF_AN_EVENT, properties, commerce)
        _take_products(products, commerce, rest)
    elif action in _ABOUT_ONE_PRODUCT:
        product: dict[str, Any] = {}
        rest = _take(_OF_A_PRODUCT, _take(_OF_ONE_PRODUCT_EVENT, properties, commerce), product)
        if product:
            commerce["products"] = [product]
    else:
        rest = _take(_OF_AN_EVENT, properties, commerce)
    return commerce, rest


def _take_products(products: list[Any], commerce: dict[str, Any], rest: dict[str, Any]) -> None:
    """Each product's typed fields; what is left of each stays at its place in the properties."""
    if not products:
        commerce["products"] = rest.pop("products")  # none is something else than no list: an empty cart
        return
    typed: list[dict[str, Any]] = []
    left: list[Any] = []
    for product in products[:MOST_PRODUCTS]:
        taken: dict[str, Any] = {}
        left.append(_take(_OF_A_PRODUCT, product, taken) if isinstance(product, dict) else product)
        typed.append(taken)
    left += products[MOST_PRODUCTS:]
    if any(typed):
        commerce["products"] = typed
    if any(item != {} for item in left):
        rest["products"] = left
    elif typed:
        del rest["products"]


def _take(fields: dict[str, tuple[str, _Reader]], source: dict[str, Any], into: dict[str, Any]) -> dict[str, Any]:
    """Move what fits into the typed fields; returns the rest."""
    rest: dict[str, Any] = {}
    for name, value in source.items():
        if name in fields:
            field, read = fields[name]
            if field not in into and (fitting := read(value)) is not None:
                into[field] = fitting
                continue
        rest[name] = value
    return rest
