"""The life of an order: its states and the moves between them. Pure."""

from __future__ import annotations

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


def may_move(now: Status, then: Status) -> bool:
    """Whether staff may move an order from one state to another; staying is always allowed."""
    return then == now or then in MOVES[now]
