"""What a tracking client says, checked and in our own terms: connectors make these, the service stores them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

MessageType = Literal["page", "screen", "track", "identify", "alias", "group"]
Clock = Literal["corrected", "clamped"]
Retention = Literal["browsing", "commerce", "identity"]


# In 0.1 µs; a dataclass takes 0.5, and the garbage collector looks at it, too.
class Message(msgspec.Struct, gc=False):
    """One message of a tracking client.

    Attributes:
        type: What it says. ``page``, ``screen`` and ``track``: somebody did something. ``identify``, ``alias`` and
            ``group``: who somebody is.
        message_id: Unique for its source, for as long as events are kept.
        occurred_at: When it happened by our clock: corrected for the sender's, never later than now.
        retention: How long it is kept: the class of its event.
        user_id: What the shop calls them.
        anonymous_id: What their browser or device calls them.
        name: Of a track event, page or screen.
        clock: How ``occurred_at`` differs from what was sent; None where it does not.
        previous_id: Of an alias: what ``user_id`` was called before.
        group_id: Of a group.
        traits: Of identify and group: what is said about them, as sent, within the limits of properties.
        commerce: Typed fields of an e-commerce event, as the document stores them (``documents.Commerce``).
        context: The part of the client's context that is kept.
        properties: What else came with it, within limits (``properties.py``).
    """

    type: MessageType
    message_id: str
    occurred_at: datetime
    retention: Retention = "browsing"
    user_id: str | None = None
    anonymous_id: str | None = None
    name: str | None = None
    clock: Clock | None = None
    previous_id: str | None = None
    group_id: str | None = None
    traits: dict[str, Any] | None = None
    commerce: dict[str, Any] | None = None
    context: dict[str, Any] = {}
    properties: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Sender:
    """On whose behalf messages come.

    Attributes:
        key_id: Of the API key.
        source: The key's source: the scope of message ids, and of the user ids that it sends (``external_ids``).
        trusted: A secret key of a backend. A public one may create customers, but never overwrite what a trusted source
            has said.
        phone_region: Country of phone numbers without a country code.
        key_name: What colleagues call the key; its id where that is not known any more.
    """

    key_id: str
    source: str
    trusted: bool = False
    phone_region: str | None = None
    key_name: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that cannot be taken.

    Attributes:
        index: Its place in the request.
        message_id: As it was sent; None where there is none that can be read.
        code: Why, for programs: lower case, with underscores.
        message: Why, in words that do not repeat what was sent.
        raw: The message's own JSON text; of one that is too long, the beginning.
        pointer: Which part of it.
        type: What the route says that it is; None where the message says so itself.
        ahead: How far our clock is ahead of its sender's, as its batch said; None where it does not matter.
        context: What its batch said for all, in the form in which it is kept.
    """

    index: int
    message_id: str | None
    code: str
    message: str
    raw: str
    pointer: str | None = None
    type: MessageType | None = None
    ahead: timedelta | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
