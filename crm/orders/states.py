"""The life of an order: its states and the moves between them. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal, get_args

Status = Literal["pending", "paid", "fulfilled", "delivered", "cancelled", "partially_refunded", "refunded"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)

#: What may follow what when staff move an order by hand. A shop that pushes an order says what it is; it is not asked.
MOVES: Final[dict[Status, frozenset[Status]]] = {
    "pending": frozenset({"paid", "cancelled"}),
    "paid": frozenset({"fulfilled", "cancelled", "partially_refunded", "refunded"}),
    "fulfilled": frozenset({"delivered", "partially_refunded", "refunded"}),
    "delivered": frozenset({"partially_refunded", "refunded"}),
    "partially_refunded": frozenset({"fulfilled", "delivered", "refunded"}),
    "cancelled": frozenset(),
    "refunded": frozenset(),
}
#: Orders in these states are not part of a customer's totals.
NOT_COUNTED: Final[tuple[Status, ...]] = ("cancelled",)
#: Refunds do not change these: a cancelled order stays out of the totals, a refunded one is given back whole.
SETTLED: Final[tuple[Status, ...]] = ("cancelled", "refunded")


def after_refunds(source_status: Status, refunded: Decimal, total: Decimal) -> Status:
    """The state of an order from what its shop (or staff) said last and what was given back.

    A function of both alone, so that a push and a refund end the same in whichever order they arrive.

    Args:
        source_status: What was said last.
        refunded: Sum of the order's refunds.
        total: What was paid.
    """
    if not refunded or source_status in SETTLED:
        return source_status
    return "refunded" if refunded >= total else "partially_refunded"


def may_move(now: Status, then: Status) -> bool:
    """Whether staff may move an order from one state to another; staying is always allowed."""
    return then == now or then in MOVES[now]
