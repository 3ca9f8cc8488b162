"""What is stored of a product."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from crm.database.documents import VersionedDocument
from crm.database.ids import StoredAmount
from crm.fields import Attributes, Currency, Line, LongText

_Url = Annotated[str, Field(max_length=2000)]


class StoredPrice(BaseModel):
    """An exact amount and its currency."""

    amount: StoredAmount
    currency: Currency


class Product(VersionedDocument):
    """A product; its ``_id`` is the SKU, which is what everybody calls it."""

    title: Line
    description: LongText | None = None
    price: StoredPrice | None = None
    category: Line | None = None
    url: _Url | None = None
    image_url: _Url | None = None
    active: bool = True
    attributes: Attributes = {}

    class Settings:
        """Beanie's settings."""

        name = "products"
        keep_nulls = False
