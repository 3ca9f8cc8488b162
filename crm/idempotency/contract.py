"""What the database enforces for requests with an Idempotency-Key."""

from __future__ import annotations

from crm.database.contract import CollectionContract, Rule
from crm.idempotency.documents import KeyedRequest
from crm.identity import Role

ONLY_ANSWERED_HAS_AN_ANSWER = Rule(
    "an answered request has a status and a body, and no other has either",
    {
        "$and": [
            {"$eq": [{"$eq": ["$state", "answered"]}, {"$gt": ["$status", None]}]},
            {"$eq": [{"$eq": ["$state", "answered"]}, {"$gt": ["$body", None]}]},
        ]
    },
)

#: Only the API's own user: answers hold personal data, and one caller must not read what another was told.
CONTRACT = CollectionContract(
    document=KeyedRequest,
    rules=(ONLY_ANSWERED_HAS_AN_ANSWER,),
    grants={Role.ADMIN: "find insert update remove", Role.AUTH: "find insert update"},
)
