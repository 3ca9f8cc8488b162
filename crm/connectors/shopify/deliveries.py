"""What a Shopify webhook is about, from its headers and body. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from crm.connectors import reading
from crm.connectors.reading import Json
from crm.connectors.receiving import digest, glance, version
from crm.connectors.shapes import Shape
from crm.errors import UnreadableRequest
from crm.inbox.schemas import Arrival

#: An order as it now is. ``orders/edited`` has only the edit, and ``orders/updated`` comes with it.
ORDERS: Final = frozenset(
    f"orders/{what}" for what in ("create", "updated", "paid", "cancelled", "fulfilled", "partially_fulfilled")
)
ORDER_DELETED: Final = "orders/delete"
REFUND: Final = "refunds/create"
CUSTOMERS: Final = frozenset({"customers/create", "customers/update", "customers/enable", "customers/disable"})
PRODUCTS: Final = frozenset({"products/create", "products/update"})
UNINSTALLED: Final = "app/uninstalled"
#: Shopify demands that these are taken, also 48 hours after the app was removed.
PRIVACY: Final = frozenset({"customers/data_request", "customers/redact", "shop/redact"})

_RESOURCES: Final = {**dict.fromkeys(ORDERS, "order"), ORDER_DELETED: "order", REFUND: "refund"}
_RESOURCES.update({**dict.fromkeys(CUSTOMERS, "customer"), **dict.fromkeys(PRODUCTS, "product")})

_OF_A_SHOP: Final = Shape(one_of=("shop_id", "shop_domain"), none_of=("line_items", "variants"))
_OF_A_PERSON: Final = Shape(one_of=("customer",))
#: What tells their bodies apart; of each topic that is carried out.
SHAPES: Final[dict[str, tuple[Shape, ...]]] = {
    **dict.fromkeys(ORDERS, (Shape(one_of=("line_items",)),)),
    # Nothing but the id.
    ORDER_DELETED: (Shape(none_of=("line_items", "order_id", "variants", "email", "created_at")),),
    REFUND: (Shape(one_of=("order_id",), none_of=("line_items",)),),
    **dict.fromkeys(
        CUSTOMERS, (Shape(none_of=("line_items", "variants", "order_id", "customer", "myshopify_domain")),)
    ),
    **dict.fromkeys(PRODUCTS, (Shape(one_of=("variants",), none_of=("line_items",)),)),
    UNINSTALLED: (Shape(one_of=("myshopify_domain", "domain"), none_of=("line_items", "variants")),),
    "customers/data_request": (
        _OF_A_SHOP, _OF_A_PERSON, Shape(one_of=("data_request", "orders_requested"), none_of=("orders_to_redact",)),
    ),
    "customers/redact": (_OF_A_SHOP, _OF_A_PERSON, Shape(none_of=("data_request", "orders_requested"))),
    "shop/redact": (
        _OF_A_SHOP, Shape(none_of=("customer", "data_request", "orders_requested", "orders_to_redact")),
    ),
}  # fmt: skip
#: Where such a body names the shop that it is of.
NAMES_OF_SHOP: Final[dict[str, tuple[str, ...]]] = {
    UNINSTALLED: ("myshopify_domain", "domain"),
    **dict.fromkeys(PRIVACY, ("shop_domain",)),
}


def header(headers: Mapping[str, str], name: str) -> str | None:
    """A header of Shopify's, with or without the ``X-`` that newer webhooks leave out."""
    return headers.get(f"x-shopify-{name}") or headers.get(f"shopify-{name}") or None


def arrival(headers: Mapping[str, str], body: bytes, now: datetime) -> Arrival:
    """The delivery.

    Args:
        headers: By names in small letters, or without regard to case.
        body: To the byte.
        now: For what has no date of its own.

    Raises:
        UnreadableRequest: No topic is named.
    """
    topic = reading.plain(header(headers, "topic"), 100)
    if topic is None:
        raise UnreadableRequest("The header X-Shopify-Topic is missing.")
    data = glance(body)
    webhook_id = reading.plain(header(headers, "webhook-id"))
    triggered_at = version({"at": header(headers, "triggered-at")}, "at")
    deleted = topic == ORDER_DELETED
    return Arrival(
        topic=topic,
        body=body,
        # The id stays the same when Shopify repeats a delivery.
        key=(webhook_id,) if webhook_id else (topic, digest(body)),
        resource=_resource(topic, data),
        version=(triggered_at or now) if deleted else version(data, "created_at" if topic == REFUND else "updated_at"),
        overrides=deleted,
        webhook_id=webhook_id,
        event_id=reading.plain(header(headers, "event-id")),
        api_version=reading.plain(header(headers, "api-version")),
        triggered_at=triggered_at,
    )


def _resource(topic: str, data: Json) -> str | None:
    kind, own_id = _RESOURCES.get(topic), reading.identifier(data, "id")
    return f"{kind}/{own_id}" if kind and own_id else None
