"""What the database enforces for interactions."""

from __future__ import annotations

from crm.database.contract import CollectionContract, Rule
from crm.identity import Role
from crm.interactions.documents import Interaction

ONLY_TASKS_HAVE_A_STATUS = Rule(
    "a task has a status, and nothing else has one",
    {"$eq": [{"$eq": ["$kind", "task"]}, {"$gt": ["$status", None]}]},
)

CONTRACT = CollectionContract(
    document=Interaction,
    rules=(ONLY_TASKS_HAVE_A_STATUS,),
    grants={Role.ADMIN: "find insert update remove", Role.SALES: "find insert update"},
)
