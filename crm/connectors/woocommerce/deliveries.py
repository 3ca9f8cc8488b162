"""What a WooCommerce webhook is about, from its headers and body. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from crm.connectors import reading
from crm.connectors.receiving import digest, glance, version
from crm.errors import UnreadableRequest
from crm.inbox.schemas import Arrival

_PING: Final = re.compile(rb"webhook_id=[0-9]{1,20}")
_KNOWN: Final = frozenset({"order", "customer", "product"})


def is_ping(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether this is what WooCommerce sends, unsigned, when a webhook is saved; it insists on 200."""
    ours = ("signature", "topic", "source", "resource", "event")
    return _PING.fullmatch(body) is not None and not any(f"x-wc-webhook-{name}" in headers for name in ours)


def arrival(headers: Mapping[str, str], body: bytes, now: datetime) -> Arrival:
    """The delivery.

    ``X-WC-Webhook-Delivery-ID`` is no key: two deliveries of one webhook within a second have the same.

    Args:
        headers: By names in small letters, or without regard to case.
        body: To the byte.
        now: For what has no date of its own.

    Raises:
        UnreadableRequest: No topic is named.
    """
    topic = reading.plain(headers.get("x-wc-webhook-topic"), 100)
    if topic is None:
        raise UnreadableRequest("The header X-WC-Webhook-Topic is missing.")
    data = glance(body)
    kind, _, event = topic.partition(".")
    own_id = reading.identifier(data, "id")
    modified = version(data, "date_modified_gmt", reading.naive_utc)
    # A deletion has nothing but the id, and a restored order may have the date of before.
    overrides = event in {"deleted", "restored"}
    delivery_id = reading.plain(headers.get("x-wc-webhook-delivery-id"))
    # Its Delivery-ID is only good to the second, but a second deletion of an order has the topic and body of the first.
    own_key = (delivery_id or "",) if overrides else ()
    return Arrival(
        topic=topic,
        body=body,
        key=(topic, own_id or "", modified.isoformat() if modified else "", digest(body), *own_key),
        resource=f"{kind}/{own_id}" if kind in _KNOWN and own_id else None,
        version=modified or (now if overrides else None),
        overrides=overrides,
        webhook_id=reading.plain(headers.get("x-wc-webhook-id")),
        event_id=delivery_id,
    )
