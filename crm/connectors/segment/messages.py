"""One message of a tracking client → a message in our own terms, or why it cannot be taken. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, cast

from msgspec import Raw

from crm.connectors.segment import times
from crm.connectors.segment.contexts import kept_of
from crm.connectors.segment.items import Item, read_anything
from crm.connectors.segment.limits import TYPES
from crm.connectors.segment.refusals import LONGEST_MESSAGE_ID, Refusal
from crm.connectors.segment.spec import ACTION_OF, understand
from crm.events.commerce import LONGEST_LINE, RETENTION
from crm.events.messages import Message, MessageType
from crm.events.properties import MOST_VALUES, check, fit

#: What programs write where there is no id: a customer of that name would be everybody.
_NOBODY: Final = frozenset({"undefined", "null", "(null)", "none", "nan", "[object object]"})
_LONGEST_NOBODY: Final = max(map(len, _NOBODY))
#: The bytes that so many values need at least: a message with less need not be counted.
_FEW_BYTES: Final = 2 * MOST_VALUES


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the messages of a request share.

    Attributes:
        event_types: Which the key may send.
        received_at: Now.
        path_type: The type that the route gives them.
        sent_at: When the request was sent, by the client's clock.
        ahead: How far our clock is ahead of that.
        context: Theirs all, unless they say otherwise.
    """

    event_types: frozenset[str]
    received_at: datetime
    path_type: str | None = None
    sent_at: times.Sent = None
    ahead: timedelta | None = None
    context: dict[str, Any] = field(default_factory=dict)


def message_of(item: Item, raw: Raw | bytes, index: int, shared: Circumstances) -> Message:
    """A message in our own terms.

    Args:
        item: As it came.
        raw: Its JSON.
        index: Its place in the request.
        shared: What it shares with the others.

    Raises:
        Refusal: It cannot be taken.
    """
    kind = shared.path_type or item.type
    if kind not in TYPES:
        raise Refusal("invalid_type", "/type")
    if kind not in shared.event_types:
        raise Refusal("type_not_allowed", "/type")
    user_id = _id(item.user_id, "invalid_user_id", "/userId")
    anonymous_id = _id(item.anonymous_id, "invalid_anonymous_id", "/anonymousId")
    if user_id is None and anonymous_id is None:
        raise Refusal("no_user_anon_id", "/userId")
    occurred_at, clock = times.settle(item.original_timestamp, item.timestamp, _ahead(item, shared), shared.received_at)
    context = kept_of(item.context)
    message = Message(
        type=cast(MessageType, kind),
        message_id=_message_id(item, raw, index, shared),
        occurred_at=occurred_at,
        user_id=user_id,
        anonymous_id=anonymous_id,
        clock=clock,
        context={**shared.context, **context} if shared.context else context,
    )
    _FILL[message.type](message, item, len(raw))
    return message


def _ahead(item: Item, shared: Circumstances) -> timedelta | None:
    if item.sent_at is None or item.sent_at == shared.sent_at:
        return shared.ahead
    return times.skew(item.sent_at, shared.received_at)


def _id(sent: str | int | None, code: str, pointer: str) -> str | None:
    if sent is None or sent == "":
        return None
    text = sent if type(sent) is str else str(sent)
    if text.isspace():
        return None
    if len(text) > LONGEST_LINE:
        raise Refusal(code, pointer)
    return None if len(text) <= _LONGEST_NOBODY and text.lower() in _NOBODY else text


def _message_id(item: Item, raw: Raw | bytes, index: int, shared: Circumstances) -> str:
    """The client's; else one that is the same when the same message comes again.

    Without any time in it two messages of the same content may be two events, so only the request tells them apart.
    """
    sent = item.message_id
    if sent is not None and sent != "":
        text = sent if type(sent) is str else str(sent)
        if len(text) > LONGEST_MESSAGE_ID:
            raise Refusal("invalid_message_id", "/messageId")
        return text
    digest = blake2b(bytes(raw), digest_size=16)
    if not (item.timestamp or item.original_timestamp or item.sent_at):
        digest.update(f"{shared.received_at.isoformat()}/{index}".encode())
    return f"made-{digest.hexdigest()}"


def _track(message: Message, item: Item, size: int) -> None:
    name = item.event
    if not name or name.isspace():
        raise Refusal("no_event_name", "/event")
    if len(name) > LONGEST_LINE:
        raise Refusal("invalid_event_name", "/event")
    message.name = name
    properties = {} if item.properties is None else item.properties
    action = ACTION_OF.get(name)
    if action is not None and type(properties) is dict:
        message.retention = RETENTION[action]
        message.commerce, properties = understand(action, properties)
    message.properties = _free(properties, size, "invalid_properties", "/properties")


def _view(message: Message, item: Item, size: int) -> None:
    message.properties = _free(item.properties, size, "invalid_properties", "/properties")
    if item.name and len(item.name) <= LONGEST_LINE:
        message.name = item.name
    elif item.name:
        message.properties.setdefault("name", item.name)
    if item.category:
        message.properties.setdefault("category", item.category)


def _identify(message: Message, item: Item, size: int) -> None:
    """Traits stand in the message; RudderStack's library for Python puts them into its context."""
    traits = _free(read_anything(item.traits), size, "invalid_traits", "/traits")
    if not traits and item.context is not None:
        traits = _free(read_anything(item.context.traits), size, "invalid_traits", "/context/traits")
    message.traits, message.retention = traits, "identity"


def _group(message: Message, item: Item, size: int) -> None:
    message.group_id = _id(item.group_id, "invalid_group_id", "/groupId")
    if message.group_id is None:
        raise Refusal("no_group_id", "/groupId")
    message.traits = _free(read_anything(item.traits), size, "invalid_traits", "/traits")
    message.retention = "identity"


def _alias(message: Message, item: Item, _size: int) -> None:
    """Without ``previousId`` it is the visitor who gets a name."""
    message.previous_id = _id(item.previous_id, "invalid_previous_id", "/previousId") or message.anonymous_id
    if message.user_id is None:
        raise Refusal("no_user_id", "/userId")
    if message.previous_id is None:
        raise Refusal("no_previous_id", "/previousId")
    message.retention = "identity"


_FILL: Final = {
    "track": _track, "page": _view, "screen": _view, "identify": _identify, "group": _group, "alias": _alias,
}  # fmt: skip


def _free(found: Any, size: int, code: str, pointer: str) -> dict[str, Any]:
    """Properties or traits within their limits; none where they are null.

    Args:
        found: As read; it may be changed.
        size: Bytes of the message that they are of.
        code: Of the refusal.
        pointer: Where they stand in it.

    Raises:
        Refusal: They are no object, or do not fit.
    """
    if found is None:
        return {}
    try:
        if type(found) is dict:
            fitted = fit(found)
            return check(fitted) if size > _FEW_BYTES else fitted
    except (ValueError, RecursionError):
        pass
    raise Refusal(code, pointer)
