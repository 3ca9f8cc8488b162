"""What the database enforces for orders."""

from __future__ import annotations

from typing import Any, Final

from crm import money
from crm.database.contract import CollectionContract, Rule, View
from crm.identity import Role
from crm.orders.documents import Order, OrderVersion, StatsDue
from crm.orders.states import SETTLED

#: How far a shop's clock may run ahead of the server's.
ALLOWED_SKEW_MS: Final = 5 * 60 * 1000

_LINE_PRICE: Final = {"$multiply": ["$$item.unit_price", "$$item.quantity"]}
_LINE_TOTAL: Final = {"$add": [{"$subtract": [_LINE_PRICE, "$$item.discount"]}, "$$item.tax"]}


def _each_item(expression: Any) -> dict[str, Any]:
    return {"$map": {"input": "$items", "as": "item", "in": expression}}


NOT_IN_THE_FUTURE = Rule(
    # The reference is a time that the server itself sets; $$NOW cannot be used (ADR 0004). It has whole seconds.
    "placed_at is not in the future (5 minutes of skew allowed)",
    {"$lt": ["$placed_at", {"$add": [{"$toDate": "$recorded_at"}, ALLOWED_SKEW_MS + 1000]}]},
)
ADDS_UP = Rule(
    "total is items - discounts + tax + shipping, exactly",
    {
        "$eq": [
            "$total",
            {"$subtract": [{"$add": [{"$sum": _each_item(_LINE_TOTAL)}, "$tax", "$shipping"]}, "$discount"]},
        ]
    },
)
NO_LINE_BELOW_ZERO = Rule(
    "no item's discount is larger than its price",
    {"$allElementsTrue": [_each_item({"$lte": ["$$item.discount", _LINE_PRICE]})]},
)

_REFUNDS: Final = {"$ifNull": ["$refunds", []]}
_REFUNDED: Final = {"$ifNull": ["$refunded", 0]}
_SOURCE_STATUS: Final = {"$ifNull": ["$source_status", "$status"]}
REFUNDS_ADD_UP = Rule(
    "refunded is the sum of the refunds, and not more than the total",
    {"$and": [{"$eq": [_REFUNDED, {"$sum": "$refunds.amount"}]}, {"$lte": [_REFUNDED, "$total"]}]},
)
REFUND_LINES_ADD_UP = Rule(
    "a refund with lines is their sum",
    {
        "$allElementsTrue": [
            {
                "$map": {
                    "input": _REFUNDS,
                    "as": "refund",
                    "in": {
                        "$or": [
                            {"$not": ["$$refund.lines"]},
                            {"$eq": ["$$refund.amount", {"$sum": "$$refund.lines.amount"}]},
                        ]
                    },
                }
            }
        ]
    },
)
REFUNDED_ONCE = Rule(
    "no two refunds of an order have the same id",
    {"$eq": [{"$size": {"$setUnion": [{"$ifNull": ["$refunds.id", []]}, []]}}, {"$size": _REFUNDS}]},
)
STATUS_FOLLOWS = Rule(
    "status is what the source said last, after refunds",
    {
        "$eq": [
            "$status",
            {
                "$switch": {
                    "branches": [
                        {
                            "case": {"$or": [{"$eq": [_REFUNDED, 0]}, {"$in": [_SOURCE_STATUS, list(SETTLED)]}]},
                            "then": _SOURCE_STATUS,
                        },
                        {"case": {"$gte": [_REFUNDED, "$total"]}, "then": "refunded"},
                    ],
                    "default": "partially_refunded",
                }
            },
        ]
    },
)


def _fits_the_currency() -> Rule:
    """Every amount has no more decimals than ISO 4217 gives its currency."""
    branches = [
        {"case": {"$in": ["$currency", list(codes)]}, "then": digits}
        for digits, codes in money.currencies_by_minor_units().items()
        if digits != 2
    ]

    def exact(amount: str) -> dict[str, Any]:
        return {"$eq": [amount, {"$round": [amount, "$$digits"]}]}

    def each(amounts: Any, expression: Any) -> dict[str, Any]:
        return {"$allElementsTrue": [{"$map": {"input": amounts, "as": "one", "in": expression}}]}

    of_items = {"$and": [exact(f"$$one.{name}") for name in ("unit_price", "discount", "tax")]}
    amounts = [exact(f"${name}") for name in ("total", "tax", "shipping", "discount")]
    of_refunds = each({"$ifNull": ["$refunds.amount", []]}, exact("$$one"))
    return Rule(
        "no amount has more decimals than its currency",
        {
            "$let": {
                "vars": {"digits": {"$switch": {"branches": branches, "default": 2}}},
                "in": {"$and": [*amounts, each("$items", of_items), of_refunds]},
            }
        },
    )


ORDERS = CollectionContract(
    document=Order,
    rules=(
        NOT_IN_THE_FUTURE,
        ADDS_UP,
        NO_LINE_BELOW_ZERO,
        _fits_the_currency(),
        REFUNDS_ADD_UP,
        REFUND_LINES_ADD_UP,
        REFUNDED_ONCE,
        STATUS_FOLLOWS,
    ),
    grants={
        Role.ADMIN: "find insert update remove",
        Role.SALES: "find",
        Role.INGEST: "find insert update",
    },
    view=View("orders_nopii", hides=("shipping_address", "billing_address", "note", "refunds.reason")),
)
#: What orders were before. Detaching a deleted customer's orders takes the addresses out of these too.
VERSIONS = CollectionContract(
    document=OrderVersion,
    grants={Role.ADMIN: "find insert update remove", Role.SALES: "find", Role.INGEST: "find insert update"},
)
#: Totals are added up as the role ingest, whoever asks for them.
DUE = CollectionContract(
    document=StatsDue,
    grants={Role.ADMIN: "find insert update remove", Role.INGEST: "find insert update remove"},
)
CONTRACTS = (ORDERS, VERSIONS, DUE)
