"""What is stored of browsing events, and of messages that were rejected."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from crm.database.documents import CrmDocument
from crm.database.ids import StoredAmount
from crm.events.messages import Clock, MessageType, Retention
from crm.events.naming import MOST_NAMED
from crm.events.properties import check, json_schema
from crm.events.schemas import AnonymousId, CommerceFields, Context, MessageId, ProductFields, UserId
from crm.fields import Identifier, Line, LongText, Moment, SourceName

#: Characters of a rejected message: an event has at most 32 KB.
LONGEST_RAW: Final = 32 * 1024

IdentityId = Annotated[str, StringConstraints(pattern=r"^(idn|cus)_[0-9A-Za-z]{1,64}$")]


class EventProduct(ProductFields[StoredAmount]):
    """A product that an event is about."""


class Commerce(CommerceFields[StoredAmount, EventProduct]):
    """The typed part of an e-commerce event; amounts as exact as they were sent."""


class Event(CrmDocument):
    """A message of a tracking client. Never changed; ``_id`` derives from source and message id, so a repeat is known.

    Attributes:
        retention: How long it is kept.
        identity_id: Whose doing it is: a user, a visitor, or the customer whom a trusted backend named. Of pages,
            screens and tracked events only, so that the index of a timeline holds nothing else.
        identifies: Whom an identify, alias or group message is about.
        user_id: What the shop calls them.
        anonymous_id: What their browser or device calls them.
        occurred_at: By our clock; never later than ``received_at``.
        received_at: Set by the API; the TTL runs from it, so that no sender can make fresh events vanish.
        clock: How ``occurred_at`` differs from what was sent.
        context: Where it happened, and what sent it.
        properties: Free, within limits (``properties.py``); of identify and group messages the traits.
    """

    source: SourceName
    message_id: MessageId
    type: MessageType
    retention: Retention
    name: Line | None = None
    identity_id: IdentityId | None = None
    identifies: IdentityId | None = None
    user_id: UserId | None = None
    anonymous_id: AnonymousId | None = None
    occurred_at: Moment
    received_at: Moment
    clock: Clock | None = None
    commerce: Commerce | None = None
    context: Context | None = None
    properties: Annotated[dict[str, Any], AfterValidator(check), WithJsonSchema(json_schema())] = {}

    class Settings:
        """Beanie's settings."""

        name = "events"
        keep_nulls = False


class EventReject(CrmDocument):
    """A message that could not be taken, so that it can be once what was wrong is mended.

    ``_id`` derives from the source, the message and the code: what is sent again and again is kept once.

    Attributes:
        key_id: Of the API key that it came with.
        trusted: Whether that is a backend's; it counts when the message is tried again.
        code: Why, for programs.
        message: Why, in words.
        pointer: Which part of it.
        message_id: The client's own id of it, where it has a readable one.
        type: What the route says that it is; absent where the message says so itself.
        raw: The message as it was sent.
        sent_at: When its batch was sent, by the sender's clock, where that clock is off.
        context: What its batch said of where all of its messages happened.
        identity_ids: Whom it names, as far as that can be told: who is deleted takes it along.
        received_at: The TTL runs from it.
        replayed_at: When it was taken after all.
    """

    source: SourceName
    key_id: Identifier
    trusted: bool
    code: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
    message: LongText
    pointer: Line | None = None
    message_id: MessageId | None = None
    type: MessageType | None = None
    raw: Annotated[str, Field(max_length=LONGEST_RAW)]
    sent_at: Moment | None = None
    context: Context | None = None
    identity_ids: Annotated[list[IdentityId], Field(max_length=MOST_NAMED)] | None = None
    received_at: Moment
    replayed_at: Moment | None = None

    class Settings:
        """Beanie's settings."""

        name = "event_rejects"
        keep_nulls = False
