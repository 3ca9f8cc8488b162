"""Money that another system gave back, on its way to our orders. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from crm.connectors.balancing import refusal
from crm.orders.schemas import RefundIn


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
        amount: Of all of it together.
        currency: What the amount was read in; None where nobody says.
        at: When; None where the source does not say.
        reason: Why.
        lines: For which products.
    """

    id: str
    amount: Decimal
    currency: str | None
    at: datetime | None = None
    reason: str | None = None
    lines: Sequence[GivenBackLine] = ()

    def wire(self, *, with_lines: bool = True) -> RefundIn:
        """As our orders take it; lines only where they are the whole of it, without nothings.

        Raises:
            Unmappable: They do not take it.
        """
        lines = [line for line in self.lines if line.amount > 0]
        whole = with_lines and lines and sum(line.amount for line in lines) == self.amount
        fields: dict[str, Any] = {
            "id": self.id,
            "amount": f"{self.amount:f}",
            "currency": self.currency,
            "reason": self.reason,
            "at": self.at,
        }
        if whole:
            fields["lines"] = [
                {"sku": line.sku, "quantity": line.quantity or None, "amount": f"{line.amount:f}"} for line in lines
            ]
        try:
            return RefundIn.model_validate(fields)
        except ValidationError as exc:
            raise refusal(exc) from None
