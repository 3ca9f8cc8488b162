"""What is stored of customers' activity, and how far each process has told it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from crm.activity.carts import MOST_LINES, MOST_PIECES
from crm.activity.views import MOST_VIEWED
from crm.database.documents import CrmDocument
from crm.database.ids import StoredAmount
from crm.events.schemas import CurrencyCode, Url
from crm.fields import Identifier, Line, Moment

_Count = Annotated[int, Field(ge=0, le=2**53)]


class Visit(BaseModel):
    """Events with no longer a silence between them than half an hour.

    Attributes:
        pages: How many of the events were pages or screens.
        entry_url: The first address that is known of it.
        truncated: The visit has more events than are looked at: it began earlier, and has more of them.
    """

    started_at: Moment
    last_at: Moment
    events: _Count
    pages: _Count
    entry_url: Url | None = None
    truncated: bool | None = None


class ShownProduct(BaseModel):
    """A product as its event named it; ``currency`` is that of ``price``."""

    product_id: Line | None = None
    sku: Line | None = None
    variant: Line | None = None
    name: Line | None = None
    price: StoredAmount | None = None
    currency: CurrencyCode | None = None
    url: Url | None = None
    image_url: Url | None = None


class ViewedProduct(ShownProduct):
    """A product that was looked at, and when it was last."""

    at: Moment


class CartItem(ShownProduct):
    """A product in a cart."""

    quantity: Annotated[int, Field(ge=1, le=MOST_PIECES)]


class Cart(BaseModel):
    """What is in the cart that was touched last.

    Attributes:
        cart_id: What the shop calls it.
        opened_at: When the first product went in.
    """

    cart_id: Line | None = None
    opened_at: Moment
    items: Annotated[list[CartItem], Field(min_length=1, max_length=MOST_LINES)]


class Activity(CrmDocument):
    """A projection of a customer's events, never edited; ``_id`` is the customer's.

    Attributes:
        last_seen_at: The latest event.
        session: The visit that it belongs to.
        viewed: The products looked at last, the latest first.
        cart: What is in the cart, if anything.
        cart_at: When something was last done with it.
        revision: Counts the recomputations, so that an older result never replaces a newer one.
        updated_at: When it was last written; the TTL runs from it, so that it goes when the events go.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^cus_[0-9A-Za-z]{1,64}$")]
    last_seen_at: Moment
    session: Visit
    viewed: Annotated[list[ViewedProduct], Field(max_length=MOST_VIEWED)] = []
    cart: Cart | None = None
    cart_at: Moment | None = None
    revision: Annotated[int, Field(ge=1, le=2**53)]
    updated_at: Moment

    class Settings:
        """Beanie's settings."""

        name = "activities"
        keep_nulls = False


class Watermark(CrmDocument):
    """How far a process has told the activity of what it received; ``_id`` is the process's own.

    Attributes:
        clean_up_to: Of everything it received before, activity is told.
        beat_at: When it last said so: it does each second.
        claimed_until: Another process is at what this one left.
    """

    id: Identifier = Field(alias="_id")
    clean_up_to: Moment
    beat_at: Moment
    claimed_until: Moment | None = None

    class Settings:
        """Beanie's settings."""

        name = "activity_watermarks"
        keep_nulls = False
