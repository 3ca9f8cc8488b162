"""What the database enforces for activity."""

from __future__ import annotations

from typing import Final

from crm.activity.documents import Activity, Watermark
from crm.database.contract import CollectionContract, Rule
from crm.identity import Role

CART_HAS_ITS_TIME: Final = Rule(
    "cart and cart_at go together", {"$eq": [{"$gt": ["$cart", None]}, {"$gt": ["$cart_at", None]}]}
)
SEEN_AT_THE_END_OF_THE_VISIT: Final = Rule(
    "last_seen_at is the end of the session, which did not end before it began",
    {
        "$and": [
            {"$eq": ["$last_seen_at", "$session.last_at"]},
            {"$lte": ["$session.started_at", "$session.last_at"]},
        ]
    },
)

#: Addresses and products of a person's own: nothing for analysts. The service itself writes as ``ingest``, and removes
#: what it wrote of a customer who was deleted meanwhile.
CONTRACTS: Final = (
    CollectionContract(
        document=Activity,
        rules=(CART_HAS_ITS_TIME, SEEN_AT_THE_END_OF_THE_VISIT),
        grants={
            Role.ADMIN: "find insert update remove",
            Role.SALES: "find",
            Role.INGEST: "find insert update remove",
        },
    ),
    CollectionContract(
        document=Watermark,
        grants={Role.ADMIN: "find insert update remove", Role.INGEST: "find insert update remove"},
    ),
)
