"""What the database enforces for the definitions of custom fields."""

from __future__ import annotations

from crm.custom_fields.documents import CustomField
from crm.database.contract import CollectionContract, Rule
from crm.identity import Role

CHOICES_GO_WITH_CHOICE = Rule(
    "a choice has choices, and nothing else has them",
    {"$eq": [{"$eq": ["$type", "choice"]}, {"$gt": ["$choices", None]}]},
)

CONTRACT = CollectionContract(
    document=CustomField,
    rules=(CHOICES_GO_WITH_CHOICE,),
    grants={Role.ADMIN: "find insert update remove", Role.SALES: "find", Role.INGEST: "find"},
)
