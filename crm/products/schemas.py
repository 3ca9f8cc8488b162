"""Wire shapes of products."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crm.fields import AmountText, Attributes, Currency, Line, LongText, Moment, Sku
from crm.web.schemas import WireIn, WireOut, example

Url = Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s\x00]+$")]


class Price(WireIn):
    """What one piece costs."""

    amount: AmountText
    currency: Currency


class PriceOut(WireOut):
    """What one piece costs."""

    amount: str
    currency: Currency


class ProductPut(WireIn):
    """A product as it now is; what is left out is gone."""

    model_config = example(title="Mug", price={"amount": "4.50", "currency": "GBP"}, category="Kitchen", active=True)

    title: Line
    description: LongText | None = None
    price: Price | None = None
    category: Line | None = None
    url: Url | None = None
    image_url: Url | None = None
    active: bool = True
    attributes: Attributes = {}


class ProductLine(ProductPut):
    """A product among many, with what the path says of a single one."""

    model_config = example(sku="MUG", title="Mug", price={"amount": "4.50", "currency": "GBP"}, category="Kitchen")

    sku: Sku

    def wanted(self) -> ProductPut:
        """The product alone; it has been checked already."""
        names = ProductPut.model_fields
        fields = {name: getattr(self, name) for name in names}
        return ProductPut.model_construct(self.model_fields_set & names.keys(), **fields)


class ProductOut(WireOut):
    """A product."""

    sku: str
    version: int
    title: str
    description: str | None
    price: PriceOut | None
    category: str | None
    url: str | None
    image_url: str | None
    active: bool
    attributes: Attributes
    created_at: Moment
    updated_at: Moment


class ProductPutOut(ProductOut):
    """A product, and what the request did: ``created``, ``updated`` or ``unchanged``."""

    result: Literal["created", "updated", "unchanged"]
