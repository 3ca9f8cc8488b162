"""Messages as they are stored, and what is stored as it is answered. Plain dicts: no model stands in the way. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from crm.database.collection import Row
from crm.database.ids import derived_id, from_bson, to_bson
from crm.errors import InvalidInput
from crm.events.messages import Message, Sender
from crm.events.schemas import CommerceOut, EventOut, EventProductOut
from crm.identities import names

#: Messages that say who somebody is, and not what they do.
SAYS_WHO: Final = frozenset({"identify", "alias", "group"})
_COMMERCE: Final = tuple(CommerceOut.model_fields)
_PRODUCT: Final = tuple(EventProductOut.model_fields)


def of_message(sender: Sender, message: Message, received_at: datetime, customer_id: str | None = None) -> Row:
    """A message as it is stored; its own dicts become the row's, and amounts in them what the database has.

    Args:
        sender: On whose behalf it comes.
        message: Checked by a connector.
        received_at: Now.
        customer_id: Whose doing it is, where a trusted backend named a customer.

    Raises:
        InvalidInput: It names nobody, or holds what BSON cannot.
    """
    try:
        return _row(sender, message, customer_id or _identity(sender, message), received_at)
    except (ArithmeticError, UnicodeEncodeError):
        raise InvalidInput("A value lies outside what the database can store.") from None


def whose(row: Row) -> str:
    """Whose doing a stored message is, or whom it is about."""
    identity_id: str = row.get("identity_id") or row["identifies"]
    return identity_id


def _identity(sender: Sender, message: Message) -> str:
    """The user where one is named, else the visitor."""
    if message.user_id:
        return names.of_user(sender.source, message.user_id)
    if message.anonymous_id and message.type != "alias":
        return names.of_visitor(sender.source, message.anonymous_id)
    raise InvalidInput.at("/userId", "A message names a user or a visitor.")


def _row(sender: Sender, message: Message, identity_id: str, received_at: datetime) -> Row:
    row: Row = {
        "_id": derived_id("evt", sender.source, message.message_id),
        "source": sender.source,
        "message_id": message.message_id,
        "type": message.type,
        "retention": message.retention,
        "identity_id": identity_id,
        "occurred_at": min(message.occurred_at, received_at),
        "received_at": received_at,
        "properties": message.properties,
    }
    if message.type in SAYS_WHO:
        row["identifies"] = row.pop("identity_id")
        row["retention"] = "identity"
        row["properties"] = _said(message)
    for name in ("name", "user_id", "anonymous_id", "clock"):
        value = getattr(message, name)
        if value is not None:
            row[name] = value
    if message.commerce:
        row["commerce"] = _exact(message.commerce)
    if message.context:
        row["context"] = message.context
    return row


def _exact(commerce: Row) -> Row:
    """With amounts as the database has them, in place: copies of all products would take 1 µs of each event."""
    for name, value in commerce.items():
        if type(value) is Decimal:
            commerce[name] = to_bson(value)
    for product in commerce.get("products", ()):
        if type(price := product.get("price")) is Decimal:
            product["price"] = to_bson(price)
    return commerce


def _said(message: Message) -> dict[str, Any]:
    said = {**message.properties, **(message.traits or {})}
    if message.previous_id is not None:
        said["previous_id"] = message.previous_id
    if message.group_id is not None:
        said["group_id"] = message.group_id
    return said


def shape(row: Row, customer_id: str | None = None) -> EventOut:
    """What is stored, as it is answered.

    Args:
        row: A page, screen or tracked event.
        customer_id: Whose events were asked for.
    """
    identity_id = row["identity_id"]
    if customer_id is None and identity_id.startswith("cus_"):
        customer_id = identity_id
    return EventOut(
        id=row["_id"],
        source=row["source"],
        message_id=row["message_id"],
        type=row["type"],
        name=row.get("name"),
        customer_id=customer_id,
        identity_id=identity_id,
        user_id=row.get("user_id"),
        anonymous_id=row.get("anonymous_id"),
        occurred_at=row["occurred_at"],
        received_at=row["received_at"],
        clock=row.get("clock"),
        retention=row["retention"],
        commerce=_commerce(row.get("commerce")),
        context=row.get("context", {}),
        properties=row.get("properties", {}),
    )


def _commerce(stored: Mapping[str, Any] | None) -> CommerceOut | None:
    if stored is None:
        return None
    products = stored.get("products")
    shown = None if products is None else [EventProductOut(**_shown(product, _PRODUCT)) for product in products]
    return CommerceOut(**{**_shown(stored, _COMMERCE), "products": shown})


def _shown(stored: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    return {name: _text(from_bson(stored[name])) for name in fields if name in stored}


def _text(value: Any) -> Any:
    return f"{value:f}" if isinstance(value, Decimal) else value
