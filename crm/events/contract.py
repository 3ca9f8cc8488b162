"""What the database enforces for browsing events."""

from __future__ import annotations

from crm.database.contract import CollectionContract, Rule, View
from crm.events.documents import Event
from crm.identity import Role

IS_SOMEBODYS = Rule(
    "an event names a customer or an anonymous_id",
    {"$or": [{"$gt": ["$customer_id", None]}, {"$gt": ["$anonymous_id", None]}]},
)
NOT_BEFORE_IT_HAPPENED = Rule("occurred_at is not later than received_at", {"$lte": ["$occurred_at", "$received_at"]})

CONTRACT = CollectionContract(
    document=Event,
    rules=(IS_SOMEBODYS, NOT_BEFORE_IT_HAPPENED),
    grants={
        Role.ADMIN: "find insert update remove",
        Role.SALES: "find",
        Role.INGEST: "find insert update",
        Role.TRACKING: "insert",
    },
    view=View("events_nopii", hides=("properties", "anonymous_id")),
)
