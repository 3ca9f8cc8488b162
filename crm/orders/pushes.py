"""What is pushed of an order, what becomes of it, and the change between. Shapes without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm.customers import service as customers
from crm.database.collection import Row
from crm.orders import mapping
from crm.orders.schemas import OrderPut, Result

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Push:
    """An order as a system now knows it.

    Attributes:
        source: The sending system.
        external_id: What it calls the order.
        order: The order.
    """

    source: str
    external_id: str
    order: OrderPut


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did.

    Attributes:
        row: The order as it is stored now (``mapping.wire`` makes it ``OrderOut``); its own ``recorded_at`` apart.
        result: What happened; ``stale`` and ``unchanged`` changed nothing.
    """

    row: Row
    result: Result

    @property
    def order_id(self) -> str:
        """Our id."""
        return str(self.row["_id"])

    def wire(self) -> dict[str, Any]:
        """The members of ``OrderPutOut``."""
        return {**mapping.wire(self.row), "result": self.result, "stale": self.result == "stale"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A push whose content is in order, with all that can be known before the database is asked."""

    key: Key
    fields: Row
    source_updated_at: datetime | None
    naming: customers.Naming | None
    by: str


@dataclass(slots=True)
class Change:
    """An order that a round writes: what is stored now, and what is to be.

    Of one that is ``erased``, ``for_books`` is what is kept of what was pushed.
    """

    index: int
    push: Prepared
    present: Row | None
    customer_id: str | None = None
    moved_by: list[str] | None = None
    row: Row | None = None
    erased: bool = False
    for_books: Row | None = None

    def touched(self) -> set[str]:
        """Whose totals it changes."""
        ids = {self.customer_id, self.present.get("customer_id") if self.present else None}
        return {customer_id for customer_id in ids if customer_id}
