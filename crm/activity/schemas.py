"""Wire shapes of customers' activity."""

from __future__ import annotations

from typing import Literal

from crm.fields import Moment
from crm.web.schemas import WireOut

CartState = Literal["open", "abandoned"]


class VisitOut(WireOut):
    """A customer's last visit: events with no longer a silence between them than half an hour.

    Attributes:
        pages: How many of the events were pages or screens.
        entry_url: The first address that is known of it.
        truncated: Of a visit with more than 500 events only these are counted; it began earlier than shown.
    """

    started_at: Moment
    last_at: Moment
    events: int
    pages: int
    entry_url: str | None
    truncated: bool


class _Product(WireOut):
    product_id: str | None
    sku: str | None
    variant: str | None
    name: str | None
    price: str | None
    currency: str | None
    url: str | None
    image_url: str | None


class ViewedProductOut(_Product):
    """A product that a customer looked at, as the event said, and when it was last."""

    at: Moment


class CartItemOut(_Product):
    """A product in a cart; ``price`` is for one piece."""

    quantity: int


class CartTotalOut(WireOut):
    """What the items with a price in one currency cost; ``currency`` is null where the shop named none."""

    currency: str | None
    amount: str


class CartOut(WireOut):
    """A cart with something in it.

    Attributes:
        state: ``abandoned`` after an hour without a change (``CRM_CART_ABANDONED_AFTER_MINUTES``).
        cart_id: What the shop calls it.
        totals: One entry for each currency; different currencies are never added up.
        opened_at: When the first product went in.
        updated_at: When something was last done with it.
    """

    customer_id: str
    state: CartState
    cart_id: str | None
    totals: list[CartTotalOut]
    items: list[CartItemOut]
    opened_at: Moment
    updated_at: Moment


class ActivityOut(WireOut):
    """What a customer does at present, told from all events that were answered before."""

    customer_id: str
    last_seen_at: Moment | None
    session: VisitOut | None
    viewed: list[ViewedProductOut]
    cart: CartOut | None
