"""Requests as each published library writes them, with invented people.

Shapes read in the sources of segment-analytics-python 2.3.4, @segment/analytics-node 3.1.0, @segment/analytics-next
1.84, rudder-sdk-python 2.1.9 and @rudderstack/rudder-sdk-node 3.0.13.
"""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

PAGE: Json = {
    "path": "/mugs/enamel", "referrer": "https://www.example.net/search?q=mug", "search": "?utm_source=newsletter",
    "title": "Enamel mug | Example Shop", "url": "https://shop.example.com/mugs/enamel?utm_source=newsletter",
}  # fmt: skip
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
ANONYMOUS = "0a7c9a2e-6d0b-4c8f-9a51-2d9c6f1f7b10"
BROWSER_CONTEXT: Json = {
    "page": PAGE, "userAgent": USER_AGENT,
    "userAgentData": {"brands": [{"brand": "Chromium", "version": "142"}], "mobile": False, "platform": "Linux"},
    "locale": "en-GB", "timezone": "Europe/London",
    "library": {"name": "analytics.js", "version": "npm:next-1.84.0"},
    "campaign": {"source": "newsletter", "medium": "email", "name": "spring"},
}  # fmt: skip
MUG: Json = {
    "product_id": "507f1f77bcf86cd799439011", "sku": "MUG-RED", "category": "Mugs", "name": "Enamel mug",
    "brand": "Example", "variant": "red", "price": 19.99, "quantity": 1, "coupon": "SPRING", "position": 3,
    "url": "https://shop.example.com/mugs/enamel", "image_url": "https://shop.example.com/img/enamel.jpg",
}  # fmt: skip


def python(*messages: Json, **extra: Any) -> bytes:
    """segment-analytics-python: ``json.dumps`` with its spaces, the key in the body."""
    items = []
    for number, message in enumerate(messages):
        item = {
            "integrations": {}, "anonymousId": None, "timestamp": "2026-01-31T11:59:58.123456+00:00",
            "context": {"library": {"name": "analytics-python", "version": "2.3.4"}}, "userId": "customer-42",
            "messageId": f"5f3c1d9e-0b1a-4c57-8a0e-00000000{number:04}",
        }  # fmt: skip
        items.append({**item, **message})
    return json.dumps(
        {"batch": items, "sentAt": "2026-01-31T11:59:59.900000+00:00", "writeKey": "key-1", **extra}
    ).encode()


def node(*messages: Json) -> bytes:
    """@segment/analytics-node."""
    items = []
    for number, message in enumerate(messages):
        item = {
            "userId": "customer-42", "timestamp": "2026-01-31T11:59:58.123Z", "integrations": {},
            "context": {"library": {"name": "@segment/analytics-node", "version": "3.1.0"}},
            "messageId": f"node-next-1769860798123-5f3c1d9e-0b1a-4c57-8a0e-00000000{number:04}",
            "_metadata": {"nodeVersion": "22.11.0", "jsRuntime": "node"},
        }  # fmt: skip
        items.append({**item, **message})
    return _compact({"batch": items, "writeKey": "key-1", "sentAt": "2026-01-31T11:59:59.900Z"})


def browser(message: Json, number: int = 0) -> bytes:
    """@segment/analytics-next as it is set up by default: one message, the path says its type."""
    return _compact(
        {
            "timestamp": "2026-01-31T11:59:59.400Z",
            "integrations": {},
            "anonymousId": ANONYMOUS,
            "context": BROWSER_CONTEXT,
            "messageId": f"ajs-next-1769860799400-5f3c1d9e-0b1a-4c57-8a0e-00000000{number:04}",
            "userId": None,
            "writeKey": "key-1",
            "sentAt": "2026-01-31T11:59:59.402Z",
            "_metadata": {"bundled": ["Segment.io"], "unbundled": [], "bundledIds": []},
            **message,
        }
    )


def browser_batch(*messages: Json) -> bytes:
    """@segment/analytics-next with ``deliveryStrategy: batching``."""
    items = [json.loads(browser(message, number)) for number, message in enumerate(messages)]
    for item in items:
        del item["sentAt"]
    return _compact({"writeKey": "key-1", "batch": items, "sentAt": "2026-01-31T11:59:59.402Z"})


def rudder_python(*messages: Json) -> bytes:
    """rudder-sdk-python: no key in the body, traits in the context only."""
    items = []
    for number, message in enumerate(messages):
        item: Json = {
            "integrations": {}, "anonymousId": None, "timestamp": "2026-01-31T11:59:58.123456+00:00",
            "context": {"library": {"name": "rudder-analytics-python", "version": "2.1.9"}}, "userId": "customer-42",
            "messageId": f"5f3c1d9e-0b1a-4c57-8a0e-00000000{number:04}", "channel": "server",
        }  # fmt: skip
        context = {**item["context"], **message.get("context", {})}
        items.append({**item, **message, "context": context})
    return json.dumps({"batch": items, "sentAt": "2026-01-31T11:59:59.900000+00:00"}).encode()


def rudder_node(*messages: Json) -> bytes:
    """@rudderstack/rudder-sdk-node: ``originalTimestamp`` and ``sentAt`` in each message, ``timestamp`` if given."""
    items = []
    for number, message in enumerate(messages):
        item = {
            "userId": "customer-42", "context": {"library": {"name": "analytics-node", "version": "3.0.13"}},
            "channel": "server", "_metadata": {"nodeVersion": "22.11.0"},
            "originalTimestamp": "2026-01-31T11:59:58.123Z", "sentAt": "2026-01-31T11:59:59.900Z",
            "messageId": f"5f3c1d9e-0b1a-4c57-8a0e-00000000{number:04}",
        }  # fmt: skip
        items.append({**item, **message})
    return _compact({"batch": items, "timestamp": "2026-01-31T11:59:59.900Z", "sentAt": "2026-01-31T11:59:59.900Z"})


def _compact(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


#: Ten kinds of messages in the shares that a shop's website sends, for measuring.
TEN_KINDS: list[Json] = [
    {"type": "page", "name": "Product", "properties": {**PAGE, "category": "Mugs"}},
    {"type": "track", "event": "Product Viewed", "properties": {**MUG, "currency": "usd", "value": 18.99}},
    {"type": "track", "event": "Product List Viewed", "properties": {
        "list_id": "mugs", "category": "Mugs", "products": [{**MUG, "position": n} for n in range(5)]}},
    {"type": "track", "event": "Products Searched", "properties": {"query": "enamel mug"}},
    {"type": "track", "event": "Product Added", "properties": {**MUG, "cart_id": "c-77", "currency": "USD"}},
    {"type": "track", "event": "Order Completed", "properties": {
        "checkout_id": "ch-1", "order_id": "1001", "affiliation": "web", "subtotal": 22.5, "total": 27.5,
        "revenue": 25.0, "shipping": 3, "tax": 2, "discount": 2.5, "coupon": "SPRING", "currency": "USD",
        "products": [MUG, {**MUG, "sku": "MUG-BLUE"}]}},
    {"type": "track", "event": "Newsletter Box Closed", "properties": {
        "after_seconds": 4.2, "shown": 3, "experiment": {"name": "box", "arm": "b"}, "tags": ["a", "b"]}},
    {"type": "identify", "userId": "customer-42", "traits": {
        "email": "ada@example.com", "firstName": "Ada", "lastName": "Tour", "plan": "gold",
        "address": {"city": "Leeds", "country": "GB", "postalCode": "LS1"}, "createdAt": "2025-11-02T08:00:00Z"}},
    {"type": "screen", "name": "Home", "properties": {"tab": "new"}},
    {"type": "group", "userId": "customer-42", "groupId": "company-7", "traits": {"name": "Example Ltd"}},
]  # fmt: skip
