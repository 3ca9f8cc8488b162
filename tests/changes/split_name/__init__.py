"""A later version that splits a field: the name in an order's shipping address stands in two parts, too."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, Field

from crm.changes.declared import declared_by
from crm.changes.numbered import CHANGES
from crm.contracts import contract
from crm.database.contract import CollectionContract, Rule
from crm.ops.provision import Declared
from crm.orders.documents import Order, OrderVersion
from tests.changes.split_name import change_0901_recipients

Part = Annotated[str, Field(min_length=1, max_length=200)]


class Recipient(BaseModel):
    given: Part
    family: Part | None = None


class SplitOrder(Order):
    recipient: Recipient | None = None


class SplitOrderVersion(OrderVersion):
    recipient: Recipient | None = None


IN_PARTS = Rule(
    "recipient is the name of the shipping address, in parts",
    {
        "$eq": [
            {"$ifNull": ["$shipping_address.name", ""]},
            {
                "$cond": [
                    {"$gt": ["$recipient", None]},
                    {"$concat": ["$recipient.given", {"$ifNull": [{"$concat": [" ", "$recipient.family"]}, ""]}]},
                    "",
                ]
            },
        ]
    },
)


def declared() -> Declared:
    """This version's contract with the split, and its changes with the one that fills it in."""
    now = contract()

    def split(one: CollectionContract) -> CollectionContract:
        if one.name == "orders":
            return replace(one, document=SplitOrder, rules=(*one.rules, IN_PARTS))
        return replace(one, document=SplitOrderVersion) if one.name == "order_versions" else one

    later = replace(now, collections=tuple(map(split, now.collections)))
    return Declared(later, (*CHANGES, declared_by(change_0901_recipients)))
