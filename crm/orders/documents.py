"""What is stored of an order: its items are embedded, its customer is referenced."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from crm.customers.schemas import PostalAddress
from crm.database.documents import VersionedDocument
from crm.database.ids import StoredAmount
from crm.fields import Currency, ExternalId, Identifier, Line, LongText, Moment, Quantity, Sku, SourceName
from crm.orders.schemas import MOST_ITEMS, OrderNumber
from crm.orders.states import Status


class OrderItem(BaseModel):
    """One line of an order, as it was sold: later changes of the product do not reach it."""

    sku: Sku
    title: Line
    quantity: Quantity
    unit_price: StoredAmount
    discount: StoredAmount
    tax: StoredAmount


class Order(VersionedDocument):
    """An order.

    Attributes:
        source: The system that it comes from.
        external_id: What that system calls it; (source, external_id) is unique.
        customer_id: Whose it is; none for a walk-in sale.
        placed_at: Business time; may be long past, never in the future.
        source_updated_at: The source's own version: an older push never replaces a newer one.
        content_hash: Of what was pushed, so that the same content again changes nothing.
        recorded_at: Set by the server's own clock with every push: ``placed_at`` is checked against it.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^ord_[0-9A-Za-z]{1,64}$")]  # type: ignore[assignment]  # as the base
    source: SourceName
    external_id: ExternalId
    number: OrderNumber | None = None
    customer_id: Identifier | None = None
    currency: Currency
    placed_at: Moment
    status: Status
    items: Annotated[list[OrderItem], Field(min_length=1, max_length=MOST_ITEMS)]
    shipping: StoredAmount
    discount: StoredAmount
    tax: StoredAmount
    total: StoredAmount
    shipping_address: PostalAddress | None = None
    billing_address: PostalAddress | None = None
    source_updated_at: Moment | None = None
    note: LongText | None = None
    content_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    recorded_at: Moment

    class Settings:
        """Beanie's settings."""

        name = "orders"
        keep_nulls = False
