"""Wire shapes of browsing events."""

from __future__ import annotations

from typing import Annotated, Any, Final, Generic, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from crm.customers.schemas import CustomerRef
from crm.events import properties
from crm.events.commerce import LAST_POSITION, LONGEST_LINE, LONGEST_URL, MOST_PRODUCTS, Action
from crm.events.messages import Clock, Retention
from crm.fields import AmountText, Line, Moment, Quantity, SourceName
from crm.web.schemas import WireIn, WireOut, example

MOST_EVENTS: Final = 500
LONGEST_MESSAGE_ID: Final = 100
EventType = Literal["page", "screen", "track"]
Properties = Annotated[dict[str, Any], AfterValidator(properties.check)]
MessageId = Annotated[str, Field(min_length=1, max_length=LONGEST_MESSAGE_ID, pattern=r"^[^\x00]*$")]
AnonymousId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
UserId = AnonymousId
Url = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_URL, pattern=r"^[^\x00]*$")]
"""An address as a browser sends it; nothing opens it, so nothing else is asked of it."""
Position = Annotated[int, Field(ge=0, le=LAST_POSITION)]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""Three letters; browsers send what they send, so it need not be a currency that there is."""

Amount = TypeVar("Amount")
Product = TypeVar("Product", bound=BaseModel)


class ProductFields(BaseModel, Generic[Amount]):
    """A product that an event is about; amounts are text on the wire and Decimal128 in the database."""

    product_id: Line | None = None
    sku: Line | None = None
    name: Line | None = None
    brand: Line | None = None
    category: Line | None = None
    variant: Line | None = None
    price: Amount | None = None
    quantity: Quantity | None = None
    coupon: Line | None = None
    position: Position | None = None
    url: Url | None = None
    image_url: Url | None = None


class CommerceFields(BaseModel, Generic[Amount, Product]):
    """What a shop's event is about, in the terms of Segment's e-commerce specification.

    Attributes:
        action: What happened.
        value: Of the cart or the product, as the sender reckons it.
        total: Subtotal with shipping and tax.
        revenue: With discounts, without shipping and tax.
        subtotal: After discounts, before tax and shipping.
        query: What was searched for.
        products: One where the event is about one product; none where a list was sent that is empty.
    """

    action: Action
    currency: CurrencyCode | None = None
    value: Amount | None = None
    total: Amount | None = None
    revenue: Amount | None = None
    subtotal: Amount | None = None
    shipping: Amount | None = None
    tax: Amount | None = None
    discount: Amount | None = None
    order_id: Line | None = None
    checkout_id: Line | None = None
    cart_id: Line | None = None
    wishlist_id: Line | None = None
    coupon: Line | None = None
    query: Line | None = None
    list_id: Line | None = None
    category: Line | None = None
    products: Annotated[list[Product], Field(max_length=MOST_PRODUCTS)] | None = None


class ProductIn(ProductFields[AmountText], WireIn):
    """A product that an event is about."""


class CommerceIn(CommerceFields[AmountText, ProductIn], WireIn):
    """What a shop's event is about; amounts are decimal strings such as ``"12.50"``."""


class EventProductOut(ProductFields[str], WireOut):
    """A product that an event is about."""


class CommerceOut(CommerceFields[str, EventProductOut], WireOut):
    """What a shop's event is about; amounts have as many decimals as were sent."""


# Neither a least length nor a pattern: with them the validator takes a third longer for an event (measured).
Text = Annotated[str, Field(max_length=LONGEST_LINE)]
LongerText = Annotated[str, Field(max_length=LONGEST_URL)]


class Page(BaseModel):
    """The page on which it happened."""

    url: LongerText | None = None
    path: LongerText | None = None
    referrer: LongerText | None = None
    title: LongerText | None = None
    search: LongerText | None = None


class Campaign(BaseModel):
    """What had led there (UTM parameters)."""

    name: Text | None = None
    source: Text | None = None
    medium: Text | None = None
    term: Text | None = None
    content: Text | None = None


class Library(BaseModel):
    """What sent the event."""

    name: Text | None = None
    version: Text | None = None


class Context(BaseModel):
    """What is kept of a client's context. Never the IP address: it is personal data that nobody asked for."""

    page: Page | None = None
    campaign: Campaign | None = None
    library: Library | None = None
    locale: Text | None = None
    timezone: Text | None = None
    user_agent: LongerText | None = None


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
    commerce: CommerceIn | None = None
    properties: Properties = {}

    @model_validator(mode="after")
    def _is_somebodys(self) -> Self:
        if self.customer is None and self.anonymous_id is None:
            raise ValueError("An event names a customer or an anonymous_id.")
        if self.type == "track" and self.name is None:
            raise ValueError("A track event has a name.")
        if self.commerce is not None and self.type != "track":
            raise ValueError("Only a track event has commerce.")
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
                "commerce": {
                    "action": "product_viewed",
                    "currency": "GBP",
                    "products": [{"sku": "MUG", "name": "Mug", "price": "4.50"}],
                },
                "properties": {"from": "newsletter"},
            }
        ]
    )

    events: Annotated[list[EventIn], Field(min_length=1, max_length=MOST_EVENTS)]


class EventBatchOut(WireOut):
    """What became of a batch: all of it was accepted, repeats were recognised."""

    accepted: int
    duplicates: int


class EventOut(WireOut):
    """A browsing event.

    Attributes:
        customer_id: The customer whose events were asked for, or who was named; null for a visitor.
        identity_id: Whose doing it was: a user or a visitor as the source names them, or a customer.
        clock: ``corrected`` where the sender's clock was off, ``clamped`` where it said a time to come.
        retention: ``commerce`` is kept longer.
    """

    id: str
    source: str
    message_id: str
    type: EventType
    name: str | None
    customer_id: str | None
    identity_id: str
    user_id: str | None
    anonymous_id: str | None
    occurred_at: Moment
    received_at: Moment
    clock: Clock | None
    retention: Retention
    commerce: CommerceOut | None
    context: dict[str, Any]
    properties: dict[str, Any]


class RejectOut(WireOut):
    """A message of a tracking client that could not be taken.

    Attributes:
        key_id: Of the API key that it came with.
        code: Why, for programs.
        message: Why, in words.
        pointer: Which part of it.
        message_id: The client's own id of it, where it has a readable one.
        raw: The message as it was sent; cut where it was longer than 32 KB.
        replayed_at: When it was taken after all.
    """

    id: str
    source: str
    key_id: str
    code: str
    message: str
    pointer: str | None
    message_id: str | None
    raw: str
    received_at: Moment
    replayed_at: Moment | None


class RejectedReplay(WireIn):
    """Which rejected messages to try again: those with a code, or all."""

    model_config = example(code="type_not_allowed")

    code: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}$")] | None = None


class RejectedReplayOut(WireOut):
    """What became of them: taken now, or rejected as before."""

    replayed: int
    rejected: int
