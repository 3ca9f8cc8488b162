"""Recording refunds: each once, whatever is repeated, and together with what follows for the order's state."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any, Final

from crm import money
from crm.clock import ALLOWED_SKEW, now
from crm.database.ids import new_id
from crm.database.query import Query
from crm.errors import InvalidInput, NotFound, Unavailable
from crm.identity import Principal
from crm.orders import mapping, projection, queries, refunds
from crm.orders.documents import Order, OrderVersion, Refund
from crm.orders.pushing import version_row
from crm.orders.schemas import RefundIn
from crm.orders.states import after_refunds

#: Each round loses only to somebody who made progress; a hundred senders of refunds of one order need some.
_ROUNDS: Final = 150


@dataclass(frozen=True, slots=True)
class Refunded:
    """What a request to refund did.

    Attributes:
        order: As it is stored now.
        refund: The refund.
        new: Whether this request recorded it.
    """

    order: Order
    refund: Refund
    new: bool

    def wire(self) -> dict[str, Any]:
        """The members of ``RefundedOrderOut``."""
        order = mapping.wire(self.order.model_dump(by_alias=True))
        return {**order, "refund": mapping.refund_out(self.refund.model_dump(), self.order.currency)}


async def record(
    principal: Principal,
    wanted_order: Query,
    refund: RefundIn,
    refund_id: str | None = None,
    *,
    only_money: bool = False,
) -> Refunded:
    """Record a refund once.

    Args:
        principal: Who gives it back.
        wanted_order: Of which order.
        refund: The refund.
        refund_id: Its id where the sender gave none.
        only_money: Of one that is stored already, nothing but the amount must be the same.

    Raises:
        NotFound: There is no such order.
        InvalidInput: The amounts do not add up or do not fit the currency, or the date lies in the future.
        Conflict: More than was paid, nothing was paid yet, or another refund has this id.
        Unavailable: Too many change this order at once.
    """
    moment = now()
    if refund.at is not None and refund.at > moment + ALLOWED_SKEW:
        raise InvalidInput.at("/at", "A refund cannot be given in the future.")
    refund_id = refund.id or refund_id or new_id("rfd")
    for attempt in range(_ROUNDS):
        if attempt > 1:
            await asyncio.sleep(random.uniform(0, 0.002 * min(attempt, 20)))
        order = await Order.fetch(wanted_order)
        if order is None:
            raise NotFound("There is no such order.")
        wanted = refunds.asked(refund, order.currency)
        present = refunds.recorded(order, refund_id, wanted, refunds.MONEY if only_money else refunds.ASKED)
        if present is not None:
            return Refunded(order, present, new=False)
        refunds.check(order, wanted)
        if order.anonymous:
            wanted = {**wanted, "reason": None}
        changed = await _add(principal, order, refunds.row(refund_id, wanted, principal.id, moment))
        if changed is not None and changed.refunds:
            return Refunded(changed, changed.refunds[-1], new=True)
    raise Unavailable("Too many senders change this order at once; try again.", retry_after=1)


async def _add(principal: Principal, order: Order, row: dict[str, Any]) -> Order | None:
    """Add the refund to the version that was checked; None where somebody else was faster."""
    refunded = (order.refunded or money.zero(order.currency)) + row["amount"]
    said = order.source_status or order.status
    status = after_refunds(said, refunded, order.total)
    async with projection.changing([order.customer_id] if order.customer_id else []):
        await OrderVersion.stored().insert_new([version_row(order.as_stored())])
        update = queries.refund_added(row, refunded, status, said if status != said else None, principal.id, now())
        return await Order.change(queries.at_version(order.id, order.version), update)
