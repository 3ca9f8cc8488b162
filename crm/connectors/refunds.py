"""Money that another system gave back, on its way to our orders. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class GivenBackLine:
    """A part of a refund that is for one product."""

    sku: str
    quantity: int | None
    amount: Decimal


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A refund as the source has it.

    Attributes:
        id: The source's own.
        amount: In the order's currency.
        at: When; None where the source does not say.
        reason: Why.
        lines: For which products.
    """

    id: str
    amount: Decimal
    at: datetime | None = None
    reason: str | None = None
    lines: Sequence[GivenBackLine] = ()
