"""What the database enforces for customers."""

from __future__ import annotations

from crm.customers.claims import CLAIMABLE
from crm.customers.documents import ConsentEntry, Customer, CustomerChange
from crm.database.contract import CollectionContract, Rule, View
from crm.identity import Role

# MongoDB cannot normalise Unicode, but ASCII covers nearly every address: there the server itself compares.
EMAIL_HAS_ITS_KEY = Rule(
    "email and email_key go together, and the key of an ASCII address is that address in lower case",
    {
        "$or": [
            {"$and": [{"$not": ["$email"]}, {"$not": ["$email_key"]}]},
            {
                "$and": [
                    {"$gt": ["$email", None]},
                    {"$gt": ["$email_key", None]},
                    {
                        "$or": [
                            {"$not": [{"$regexMatch": {"input": "$email", "regex": r"\A[\x00-\x7f]+\z"}}]},
                            {"$eq": ["$email_key", {"$toLower": {"$trim": {"input": "$email"}}}]},
                        ]
                    },
                ]
            },
        ]
    },
)
EMAIL_KEYS_BEGIN_WITH_IT = Rule(
    "email_key is the first of email_keys",
    {
        "$or": [
            {"$not": ["$email_key"]},
            {"$eq": ["$email_key", {"$first": {"$ifNull": ["$email_keys", []]}}]},
        ]
    },
)
PHONE_KEY_NEEDS_PHONE = Rule(
    "phone_key comes with phone", {"$or": [{"$not": ["$phone_key"]}, {"$gt": ["$phone", None]}]}
)
LAST_NAME_HAS_ITS_KEY = Rule(
    "last_name and last_name_key go together",
    {"$eq": [{"$gt": ["$last_name", None]}, {"$gt": ["$last_name_key", None]}]},
)

CAN_BE_KNOWN = Rule(
    "a customer has an email, a phone, a name or an external id",
    {
        "$or": [
            {"$gt": ["$email", None]},
            {"$gt": ["$phone", None]},
            {"$gt": ["$first_name", None]},
            {"$gt": ["$last_name", None]},
            {"$gt": [{"$size": {"$ifNull": ["$external_ids", []]}}, 0]},
        ]
    },
)
NET_ADDS_UP = Rule(
    "net is gross - refunded in every currency",
    {
        "$allElementsTrue": [
            {
                "$map": {
                    "input": {"$ifNull": ["$stats.totals", []]},
                    "as": "sum",
                    "in": {"$eq": ["$$sum.net", {"$subtract": ["$$sum.gross", "$$sum.refunded"]}]},
                }
            }
        ]
    },
)
UNVERIFIED_IS_THERE = Rule(
    "unverified names only fields that the customer has",
    {
        "$setIsSubset": [
            {"$ifNull": ["$unverified", []]},
            {
                "$setUnion": [
                    {"$cond": [{"$not": [{"$in": [{"$ifNull": [f"${name}", None]}, [None, []]]}]}, [name], []]}
                    for name in CLAIMABLE
                ]
            },
        ]
    },
)

CUSTOMERS = CollectionContract(
    document=Customer,
    rules=(
        EMAIL_HAS_ITS_KEY,
        EMAIL_KEYS_BEGIN_WITH_IT,
        PHONE_KEY_NEEDS_PHONE,
        LAST_NAME_HAS_ITS_KEY,
        CAN_BE_KNOWN,
        NET_ADDS_UP,
        UNVERIFIED_IS_THERE,
    ),
    grants={
        Role.ADMIN: "find insert update remove",
        Role.SALES: "find insert update",
        Role.INGEST: "find insert update",
    },
    view=View(
        "customers_nopii",
        hides=(
            "email", "email_key", "email_keys", "phone", "phone_key", "first_name", "last_name", "last_name_key",
            "search_keys", "match_keys", "addresses", "attributes", "external_ids", "consents.wording",
            "last_change",
        ),
    ),
)  # fmt: skip
#: Nobody alters what was changed; with the customer it goes.
CHANGES = CollectionContract(
    document=CustomerChange,
    grants={Role.ADMIN: "find insert remove", Role.SALES: "find insert", Role.INGEST: "insert"},
)
#: Nobody alters a consent, nor removes one but with the customer.
CONSENTS = CollectionContract(
    document=ConsentEntry,
    grants={Role.ADMIN: "find insert remove", Role.SALES: "find insert", Role.INGEST: "insert"},
)
CONTRACTS = (CUSTOMERS, CHANGES, CONSENTS)
