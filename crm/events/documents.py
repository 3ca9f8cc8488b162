"""What is stored of a browsing event."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from crm.database.documents import CrmDocument
from crm.events.properties import check, json_schema
from crm.events.schemas import AnonymousId, EventType, MessageId
from crm.fields import Identifier, Line, Moment, SourceName


class Event(CrmDocument):
    """A browsing event. Never changed; its ``_id`` is derived from source and message id, so a repeat is recognised.

    Attributes:
        occurred_at: By the sender's clock; never later than ``received_at``.
        received_at: By ours; the TTL runs from it, so that no sender can make fresh events vanish.
        properties: Free, within limits (``properties.py``).
    """

    source: SourceName
    message_id: MessageId
    type: EventType
    name: Line | None = None
    customer_id: Identifier | None = None
    anonymous_id: AnonymousId | None = None
    occurred_at: Moment
    received_at: Moment
    properties: Annotated[dict[str, Any], AfterValidator(check), WithJsonSchema(json_schema())] = {}

    class Settings:
        """Beanie's settings."""

        name = "events"
        keep_nulls = False
