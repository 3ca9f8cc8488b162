"""Wire shapes of orders."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crm.customers.schemas import CustomerRef, PostalAddress
from crm.fields import AmountText, Currency, ExternalId, Identifier, Line, LongText, Moment, Quantity, Sku, SourceName
from crm.orders.states import Status
from crm.web.schemas import Conditional, WireIn, WireOut, example

MOST_ITEMS = 1000
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
    Leave ``customer`` out for a walk-in sale; it can be attached later.
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
    number: OrderNumber | None = None
    items: Annotated[list[OrderItemIn], Field(min_length=1, max_length=MOST_ITEMS)]
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

    def pushed(self) -> OrderPut:
        """The order alone; it has been checked already."""
        names = OrderPut.model_fields
        fields = {name: getattr(self, name) for name in names}
        return OrderPut.model_construct(self.model_fields_set & names.keys(), **fields)


class OrderUpdate(Conditional):
    """A merge patch: the state, the customer it belongs to (null detaches), the note."""

    model_config = example(version=1, status="fulfilled")

    status: Status | None = None
    customer_id: Identifier | None = None
    note: LongText | None = None


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
    """An order."""

    id: str
    version: int
    source: str
    external_id: ExternalId
    number: str | None
    customer_id: str | None
    currency: Currency
    placed_at: Moment
    status: Status
    items: list[OrderItemOut]
    shipping: str
    discount: str
    tax: str
    total: str
    shipping_address: PostalAddress | None
    billing_address: PostalAddress | None
    source_updated_at: Moment | None
    note: str | None
    recorded_at: Moment
    created_at: Moment
    updated_at: Moment


class OrderPutOut(OrderOut):
    """An order, and what the push did with it."""

    result: Result
    stale: bool
