"""Wire shapes of browsing events."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from crm.customers.schemas import CustomerRef
from crm.events import properties
from crm.fields import Line, Moment, SourceName
from crm.web.schemas import WireIn, WireOut, example

MOST_EVENTS = 500
EventType = Literal["page", "screen", "track"]
Properties = Annotated[dict[str, Any], AfterValidator(properties.check)]
MessageId = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
AnonymousId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class EventCustomer(CustomerRef):
    """Who it was; ``external_source`` says whose id ``external_id`` is when it is not the event's own source."""

    external_source: SourceName | None = None


class EventIn(WireIn):
    """One thing that somebody did on a website. ``message_id`` makes it unique for its source, for ever."""

    source: SourceName
    message_id: MessageId
    type: EventType
    name: Line | None = None
    customer: EventCustomer | None = None
    anonymous_id: AnonymousId | None = None
    occurred_at: Moment
    properties: Properties = {}

    @model_validator(mode="after")
    def _is_somebodys(self) -> Self:
        if self.customer is None and self.anonymous_id is None:
            raise ValueError("An event names a customer or an anonymous_id.")
        if self.type == "track" and self.name is None:
            raise ValueError("A track event has a name.")
        return self


class EventBatch(WireIn):
    """Up to 500 events at a time."""

    model_config = example(
        events=[
            {
                "source": "web",
                "message_id": "7b1c2f",
                "type": "track",
                "name": "Product Viewed",
                "customer": {"external_source": "shop", "external_id": "c-17850"},
                "occurred_at": "2026-01-31T11:58:00Z",
                "properties": {"sku": "MUG", "price": "4.50", "currency": "GBP"},
            }
        ]
    )

    events: Annotated[list[EventIn], Field(min_length=1, max_length=MOST_EVENTS)]


class EventBatchOut(WireOut):
    """What became of a batch: all of it was accepted, repeats were recognised."""

    accepted: int
    duplicates: int


class EventOut(WireOut):
    """A browsing event."""

    id: str
    source: str
    message_id: str
    type: EventType
    name: str | None
    customer_id: str | None
    anonymous_id: str | None
    occurred_at: Moment
    received_at: Moment
    properties: dict[str, Any]
