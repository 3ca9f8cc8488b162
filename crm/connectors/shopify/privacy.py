"""Shopify's mandatory privacy webhooks as requests of ours. Pure."""

from __future__ import annotations

from typing import Any, Final

from crm.connectors import reading
from crm.connectors.reading import Json
from crm.inbox.schemas import Work
from crm.privacy.schemas import MOST_ORDERS, PrivacyAsk, PrivacyKind

_KINDS: Final[dict[str, PrivacyKind]] = {
    "customers/data_request": "data_request",
    "customers/redact": "redact_customer",
    "shop/redact": "redact_shop",
}


def asked(work: Work, data: Json) -> PrivacyAsk:
    """What the shop asks; whatever of it is missing, the request itself stands."""
    person = reading.inner(data, "customer")
    return PrivacyAsk(
        delivery_id=work.id,
        connection_id=work.shop.connection_id,
        source=work.shop.source,
        kind=_KINDS[work.topic],
        received_at=work.received_at,
        request_id=reading.identifier(reading.inner(data, "data_request"), "id"),
        external_customer_id=reading.identifier(person, "id"),
        email=reading.email(person.get("email")),
        phone=reading.phone(person.get("phone")),
        orders=tuple(_ids(data.get("orders_to_redact") or data.get("orders_requested"))[:MOST_ORDERS]),
    )


def _ids(value: Any) -> list[str]:
    values = value if isinstance(value, list) else []
    return [found for one in values if (found := reading.identifier({"id": one}, "id"))]
