"""What is stored of an order: its items are embedded, its customer is referenced."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, Field

from crm.customers.schemas import PostalAddress
from crm.database.documents import CrmDocument, VersionedDocument
from crm.database.ids import ServerTime, StoredAmount
from crm.fields import Currency, ExternalId, Identifier, Line, LongText, Moment, Quantity, Sku, SourceName, Version
from crm.orders.schemas import MOST_ITEMS, MOST_REFUNDS, OrderNumber
from crm.orders.states import Status

#: Two for each order of the largest batch: whose it was and whose it is.
MOST_DUE: Final = 10_000


class OrderItem(BaseModel):
    """One line of an order, as it was sold: later changes of the product do not reach it."""

    sku: Sku
    title: Line
    quantity: Quantity
    unit_price: StoredAmount
    discount: StoredAmount
    tax: StoredAmount


class RefundLine(BaseModel):
    """What was given back for one product of an order."""

    sku: Sku
    quantity: Quantity | None = None
    amount: StoredAmount


class Refund(BaseModel):
    """Money given back. Refunds are added, never changed.

    Attributes:
        id: What the source calls it, unique within the order.
        at: When it was given back.
        lines: For which products; none where it is for the order as a whole.
        by: The principal that recorded it.
    """

    id: ExternalId
    amount: StoredAmount
    at: Moment
    reason: LongText | None = None
    lines: Annotated[list[RefundLine], Field(max_length=MOST_ITEMS)] | None = None
    by: Line


class OrderContent(BaseModel):
    """What a push or an edit can replace.

    Attributes:
        number: What the customer was told.
        customer_id: Whose it is; none for a walk-in sale.
        placed_at: Business time; may be long past, never in the future.
        status: After refunds (``states.after_refunds``).
        source_status: What the source or staff said last, where refunds make ``status`` another.
        refunded: Sum of the refunds; absent where there are none.
        test: Made to try out the shop: no part of any total. Absent is false.
        source_updated_at: The source's own version: an older push never replaces a newer one.
        anonymous: Whoever's it was, was erased: it is kept for the books, and nothing that is sent later tells whose.
        changed_by: The principal that made this version; absent in orders of release 0.1.0.
    """

    number: OrderNumber | None = None
    customer_id: Identifier | None = None
    currency: Currency
    placed_at: Moment
    status: Status
    source_status: Status | None = None
    refunded: StoredAmount | None = None
    test: bool | None = None
    items: Annotated[list[OrderItem], Field(min_length=1, max_length=MOST_ITEMS)]
    shipping: StoredAmount
    discount: StoredAmount
    tax: StoredAmount
    total: StoredAmount
    shipping_address: PostalAddress | None = None
    billing_address: PostalAddress | None = None
    source_updated_at: Moment | None = None
    note: LongText | None = None
    anonymous: bool | None = None
    changed_by: Line | None = None


class Order(OrderContent, VersionedDocument):
    """An order.

    Attributes:
        source: The system that it comes from.
        external_id: What that system calls it; (source, external_id) is unique.
        refunds: In the order in which they were recorded.
        content_hash: Of what was pushed, so that the same content again changes nothing.
        recorded_at: Set by the server's own clock with every push: ``placed_at`` is checked against it.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^ord_[0-9A-Za-z]{1,64}$")]  # type: ignore[assignment]  # as the base
    source: SourceName
    external_id: ExternalId
    refunds: Annotated[list[Refund], Field(max_length=MOST_REFUNDS)] | None = None
    content_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    recorded_at: ServerTime

    class Settings:
        """Beanie's settings."""

        name = "orders"
        keep_nulls = False


class OrderVersion(OrderContent, CrmDocument):
    """An order as it was before a later version replaced it.

    ``_id`` is derived from the order and the version, so that writing it twice leaves one. It is written before the
    order is replaced: one whose replacement then failed describes the present version, and is not shown.

    Attributes:
        order_id: Of which order.
        version: Which version this was.
        changed_at: When it was made.
        content_hash: Of what was pushed then.
    """

    order_id: Identifier
    version: Version
    changed_at: Moment
    content_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None

    class Settings:
        """Beanie's settings."""

        name = "order_versions"
        keep_nulls = False


class StatsDue(CrmDocument):
    """Customers whose totals have to be added up again: written before their orders are, removed when it is done.

    Attributes:
        customer_ids: Whose.
        at: When the write that needs it began.
        claimed_until: A process is at it that is not the one that wrote this.
    """

    customer_ids: Annotated[list[Identifier], Field(min_length=1, max_length=MOST_DUE)]
    at: Moment
    claimed_until: Moment | None = None

    class Settings:
        """Beanie's settings."""

        name = "stats_due"
        keep_nulls = False
