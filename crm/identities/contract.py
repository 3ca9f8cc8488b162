"""What the database enforces for identities."""

from __future__ import annotations

from crm.database.contract import CollectionContract, Rule
from crm.identities.documents import Identity
from crm.identity import Role

HAS_ITS_NAME = Rule(
    "an identity has its value, and its source unless it is an email, until it is erased",
    {
        "$cond": [
            {"$gt": ["$erased_at", None]},
            {"$and": [{"$not": ["$value"]}, {"$not": ["$source"]}]},
            {
                "$and": [
                    {"$gt": ["$value", None]},
                    {"$eq": [{"$gt": ["$source", None]}, {"$ne": ["$kind", "email"]}]},
                ]
            },
        ]
    },
)
FIRST_IS_THE_FIRST_LINK = Rule(
    "first and linked_at are those of the first link",
    {
        "$and": [
            {"$eq": [{"$ifNull": ["$first", None]}, {"$ifNull": [{"$first": "$links.to"}, None]}]},
            {"$eq": [{"$ifNull": ["$linked_at", None]}, {"$ifNull": [{"$first": "$links.at"}, None]}]},
        ]
    },
)
NOTHING_IS_KEPT_OF_THE_ERASED = Rule(
    "an erased identity has no links and no traits",
    {
        "$or": [
            {"$not": [{"$gt": ["$erased_at", None]}]},
            {"$not": [{"$size": {"$concatArrays": [{"$ifNull": ["$links", []]}, {"$ifNull": ["$traits", []]}]}}]},
        ]
    },
)

CONTRACT = CollectionContract(
    document=Identity,
    rules=(HAS_ITS_NAME, FIRST_IS_THE_FIRST_LINK, NOTHING_IS_KEPT_OF_THE_ERASED),
    # Values and traits are personal data: analysts see nothing of them. A public key's words are written as "ingest"
    # by the service; its own MongoDB user may not read who is who.
    grants={
        Role.ADMIN: "find insert update remove",
        Role.SALES: "find",
        Role.INGEST: "find insert update",
    },
)
