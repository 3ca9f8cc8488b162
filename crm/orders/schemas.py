"""Wire shapes of orders."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from crm.customers.schemas import CustomerRef, PostalAddress
from crm.fields import AmountText, Currency, ExternalId, Identifier, Line, LongText, Moment, Quantity, Sku, SourceName
from crm.orders.states import Status
from crm.web.schemas import Conditional, WireIn, WireOut, example

#: What the database takes; the service refuses more than ``CRM_MOST_ORDER_ITEMS`` (1,000 unless set).
MOST_ITEMS = 10_000
MOST_REFUNDS = 500
OrderNumber = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
"""What the customer was told; two sources may use the same."""
Result = Literal["created", "updated", "unchanged", "stale"]


class OrderItemIn(WireIn):
    """A line: ``quantity × unit_price − discount + tax``."""

    sku: Sku
    title: Line
    quantity: Quantity
    unit_price: AmountText
    discount: AmountText = "0"
    tax: AmountText = "0"


class OrderPut(WireIn):
    """An order as the shop now knows it.

    ``total`` = Σ(quantity × unit_price − discount + tax of each item) − discount + tax + shipping, exactly.
    Leave ``customer`` out for a walk-in sale; it can be attached later. Orders with ``test`` are kept, and are part of
    no total.
    """

    model_config = example(
        customer={"external_id": "c-17850", "email": "ann@example.com", "first_name": "Ann", "last_name": "Example"},
        currency="GBP",
        placed_at="2026-01-31T12:00:00Z",
        status="paid",
        number="1001",
        items=[
            {"sku": "MUG", "title": "Mug", "quantity": 2, "unit_price": "4.50", "discount": "0.50", "tax": "1.70"},
            {"sku": "TEA", "title": "Tea", "quantity": 1, "unit_price": "3.00"},
        ],
        shipping="2.99",
        discount="1.00",
        total="15.19",
        source_updated_at="2026-01-31T12:00:01Z",
    )

    customer: CustomerRef | None = None
    currency: Currency
    placed_at: Moment
    status: Status = "pending"
    test: bool = False
    number: OrderNumber | None = None
    items: Annotated[list[OrderItemIn], Field(min_length=1)]  # how many at most is a setting: pushing.prepare says so
    shipping: AmountText = "0"
    discount: AmountText = "0"
    tax: AmountText = "0"
    total: AmountText
    shipping_address: PostalAddress | None = None
    billing_address: PostalAddress | None = None
    source_updated_at: Moment | None = None
    note: LongText | None = None


class OrderLine(OrderPut):
    """A pushed order among many, with what the path says of a single one."""

    model_config = example(
        source="shop",
        external_id="1001",
        customer={"email": "ann@example.com"},
        currency="GBP",
        placed_at="2026-01-31T12:00:00Z",
        status="paid",
        items=[{"sku": "TEA", "title": "Tea", "quantity": 1, "unit_price": "3.00"}],
        total="3.00",
    )

    source: SourceName
    external_id: ExternalId


class OrderUpdate(Conditional):
    """A merge patch: the state, the customer it belongs to (null detaches), the note."""

    model_config = example(version=1, status="fulfilled")

    status: Status | None = None
    customer_id: Identifier | None = None
    note: LongText | None = None


class RefundLineIn(WireIn):
    """What is given back for one product."""

    sku: Sku
    quantity: Quantity | None = None
    amount: AmountText


class RefundIn(WireIn):
    """Money given back, for lines or as an amount.

    With an ``id``, the sender's own, it can be sent again as often as wanted. ``amount`` may be left out where the
    lines have theirs; with both it must be their sum.
    """

    model_config = example(
        id="re-1",
        reason="Arrived broken",
        lines=[{"sku": "MUG", "quantity": 1, "amount": "5.10"}],
    )

    id: ExternalId | None = None
    amount: AmountText | None = None
    currency: Currency | None = None
    at: Moment | None = None
    reason: LongText | None = None
    lines: Annotated[list[RefundLineIn], Field(min_length=1, max_length=MOST_ITEMS)] | None = None

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        if self.amount is None and not self.lines:
            raise ValueError("A refund has an amount, or lines with amounts.")
        return self


class RefundLineOut(WireOut):
    """What was given back for one product."""

    sku: str
    quantity: int | None
    amount: str


class RefundOut(WireOut):
    """Money that was given back."""

    id: str
    amount: str
    at: Moment
    reason: str | None
    lines: list[RefundLineOut]
    by: str


class OrderRefundOut(WireOut):
    """A refund by itself, with the order that it belongs to."""

    id: str
    order_id: str
    order_number: str | None
    order_external_id: str
    currency: str
    refund: RefundOut


class OrderItemOut(WireOut):
    """A line."""

    sku: str
    title: str
    quantity: int
    unit_price: str
    discount: str
    tax: str
    total: str


class OrderOut(WireOut):
    """An order.

    ``source_status`` is what the source or staff said last; ``status`` is that after refunds. ``content_hash`` changes
    with anything that was pushed.
    """

    id: str
    version: int
    source: str
    external_id: ExternalId
    number: str | None
    customer_id: str | None
    currency: Currency
    placed_at: Moment
    status: Status
    source_status: Status
    test: bool
    items: list[OrderItemOut]
    shipping: str
    discount: str
    tax: str
    total: str
    refunded: str
    refunds: list[RefundOut]
    shipping_address: PostalAddress | None
    billing_address: PostalAddress | None
    source_updated_at: Moment | None
    note: str | None
    content_hash: str
    changed_by: str | None
    created_at: Moment
    updated_at: Moment


class OrderPutOut(OrderOut):
    """An order, and what the push did with it."""

    result: Result
    stale: bool


class RefundedOrderOut(OrderOut):
    """An order after a refund, and the refund."""

    refund: RefundOut


class FieldChange(WireOut):
    """One field of an order, before and after; null where it had no value."""

    field: str
    before: Any
    after: Any


class OrderChange(WireOut):
    """What made an order the version that it is: who changed what, and when."""

    version: int
    at: Moment
    by: str | None
    changes: list[FieldChange]


class Reconciled(WireOut):
    """What a shop needs to find out which of its orders are missing here, or old."""

    external_id: str
    id: str
    placed_at: Moment
    source_updated_at: Moment | None
    content_hash: str
