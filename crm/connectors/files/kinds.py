"""What a file can hold: the shape of a line and the route that takes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import BaseModel

from crm.customers.schemas import CustomerCreate
from crm.events.schemas import EventIn
from crm.orders.schemas import OrderLine
from crm.products.schemas import ProductLine


class KindName(StrEnum):
    """As it is typed."""

    ORDERS = "orders"
    CUSTOMERS = "customers"
    PRODUCTS = "products"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Kind:
    """One of them.

    Attributes:
        name: As it is typed, and in the path of the route.
        line: The shape of a line.
        has_source: Whether a line names the system that it comes from.
        group: In a table, the list of which each row is a member, and the columns that tell whose.
    """

    name: KindName
    line: type[BaseModel]
    has_source: bool = False
    group: tuple[str, tuple[str, ...]] | None = None

    @property
    def path(self) -> str:
        """Of the route."""
        return f"/api/v1/{self.name}/bulk"


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(KindName.ORDERS, OrderLine, has_source=True, group=("items", ("source", "external_id"))),
        Kind(KindName.CUSTOMERS, CustomerCreate),
        Kind(KindName.PRODUCTS, ProductLine),
        Kind(KindName.EVENTS, EventIn, has_source=True),
    )
}
