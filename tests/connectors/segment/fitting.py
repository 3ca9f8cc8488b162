"""Whether a message keeps to the limits of what is stored, told without the code that makes it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final, get_args

from bson import BSON

from crm.database.ids import for_storage
from crm.events import properties
from crm.events.commerce import ACTIONS, RETENTION
from crm.events.messages import Message, MessageType
from crm.fields import EARLIEST

_AMOUNTS: Final = {"value", "total", "revenue", "subtotal", "shipping", "tax", "discount", "price"}
_URLS: Final = {"url", "image_url"}
_LINES: Final = {
    "order_id", "checkout_id", "cart_id", "wishlist_id", "coupon", "query", "list_id", "category", "product_id", "sku",
    "name", "brand", "variant",
}  # fmt: skip
_CONTEXT: Final = {
    "page": {"url", "path", "referrer", "title", "search"},
    "campaign": {"name", "source", "medium", "term", "content"},
    "library": {"name", "version"},
}


def assert_fits(message: Message, received_at: datetime) -> None:
    """Every limit that the database sets on an event."""
    assert message.type in get_args(MessageType)
    assert _is_text(message.message_id, 100)
    for name in ("user_id", "anonymous_id", "name", "previous_id", "group_id"):
        value = getattr(message, name)
        assert value is None or _is_text(value, 200), name
    assert message.user_id or message.anonymous_id
    assert EARLIEST <= message.occurred_at <= received_at
    assert message.occurred_at.microsecond % 1000 == 0
    assert message.clock in {None, "corrected", "clamped"}
    if message.type == "track":
        assert message.name
    if message.type == "group":
        assert message.group_id
    if message.type == "alias":
        assert message.previous_id
        assert message.user_id
    said_who = message.type in {"identify", "alias", "group"}
    assert (message.retention == "identity") is said_who
    assert message.traits is None or said_who
    for free in (message.properties, message.traits or {}, message.context):
        properties.check(free)
    _assert_context_fits(message.context)
    if message.commerce is None:
        assert message.retention != "commerce"
    else:
        assert message.type == "track"
        assert message.retention == RETENTION[message.commerce["action"]]
        _assert_commerce_fits(message.commerce)
    BSON.encode(for_storage({"c": message.commerce, "p": message.properties, "t": message.traits}))


def _is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= longest and "\x00" not in value and bool(value.encode())


def _assert_context_fits(context: dict[str, Any]) -> None:
    for name, value in context.items():
        if name in _CONTEXT:
            assert value
            assert value.keys() <= _CONTEXT[name]
            assert all(_is_text(text, 8_000 if name == "page" else 200) for text in value.values())
        else:
            assert name in {"locale", "timezone", "user_agent"}
            assert _is_text(value, 8_000 if name == "user_agent" else 200)


def _assert_commerce_fits(commerce: dict[str, Any]) -> None:
    assert commerce["action"] in ACTIONS
    products = commerce.get("products", [{}])
    assert len(products) <= 100
    rest = {name: value for name, value in commerce.items() if name not in {"action", "products"}}
    assert not rest.keys() & {"price", "quantity", "url", "name"}
    for fields in (rest, *products):
        for name, value in fields.items():
            _assert_field_fits(name, value)


def _assert_field_fits(name: str, value: Any) -> None:
    if name in _AMOUNTS:
        assert isinstance(value, Decimal)
        assert not value.is_signed()
        assert value <= 10**12
        assert len(value.as_tuple().digits) <= 34
        assert "E" not in f"{value:f}"
    elif name in {"quantity", "position"}:
        assert type(value) is int
        assert (name == "quantity") <= value <= 1_000_000
    elif name == "currency":
        assert len(value) == 3
        assert value.isascii()
        assert value.isupper()
    else:
        assert name in _LINES | _URLS
        assert _is_text(value, 8_000 if name in _URLS else 200)
