"""What the database enforces for orders."""

from __future__ import annotations

from typing import Any, Final

from crm import money
from crm.database.contract import CollectionContract, Rule, View
from crm.identity import Role
from crm.orders.documents import Order

#: How far a shop's clock may run ahead of the server's.
ALLOWED_SKEW_MS: Final = 5 * 60 * 1000

_LINE_PRICE: Final = {"$multiply": ["$$item.unit_price", "$$item.quantity"]}
_LINE_TOTAL: Final = {"$add": [{"$subtract": [_LINE_PRICE, "$$item.discount"]}, "$$item.tax"]}


def _each_item(expression: Any) -> dict[str, Any]:
    return {"$map": {"input": "$items", "as": "item", "in": expression}}


NOT_IN_THE_FUTURE = Rule(
    # The reference is a date that the server itself sets ($currentDate); $$NOW cannot be used (ADR 0004).
    "placed_at is not in the future (5 minutes of skew allowed)",
    {"$lte": ["$placed_at", {"$add": ["$recorded_at", ALLOWED_SKEW_MS]}]},
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


def _fits_the_currency() -> Rule:
    """Every amount has no more decimals than ISO 4217 gives its currency."""
    branches = [
        {"case": {"$in": ["$currency", list(codes)]}, "then": digits}
        for digits, codes in money.currencies_by_minor_units().items()
        if digits != 2
    ]
    item_amounts = {"$concatArrays": [["$$item.unit_price"], ["$$item.discount"], ["$$item.tax"]]}
    all_amounts = {
        "$reduce": {
            "input": _each_item(item_amounts),
            "initialValue": ["$total", "$tax", "$shipping", "$discount"],
            "in": {"$concatArrays": ["$$value", "$$this"]},
        }
    }
    exact = {"$eq": ["$$amount", {"$round": ["$$amount", "$$digits"]}]}
    return Rule(
        "no amount has more decimals than its currency",
        {
            "$let": {
                "vars": {"digits": {"$switch": {"branches": branches, "default": 2}}},
                "in": {"$allElementsTrue": [{"$map": {"input": all_amounts, "as": "amount", "in": exact}}]},
            }
        },
    )


CONTRACT = CollectionContract(
    document=Order,
    rules=(NOT_IN_THE_FUTURE, ADDS_UP, NO_LINE_BELOW_ZERO, _fits_the_currency()),
    grants={
        Role.ADMIN: "find insert update remove",
        Role.SALES: "find",
        Role.INGEST: "find insert update",
    },
    view=View("orders_nopii", hides=("shipping_address", "billing_address", "note")),
)
