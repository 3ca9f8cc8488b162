"""What the database enforces for interactions."""

from __future__ import annotations

from crm.database.contract import CollectionContract, Rule
from crm.identity import Role
from crm.interactions.documents import Interaction

ONLY_TASKS_HAVE_A_STATUS = Rule(
    "a task has a status, and nothing else has one",
    {"$eq": [{"$eq": ["$kind", "task"]}, {"$gt": ["$status", None]}]},
)
# Not the other way round: tasks that were done before this was noted have no date.
ONLY_DONE_TASKS_HAVE_BEEN_DONE = Rule(
    "only a task that is done has done_at, and who did it goes with it",
    {
        "$and": [
            {"$or": [{"$not": ["$done_at"]}, {"$eq": ["$status", "done"]}]},
            {"$eq": [{"$gt": ["$done_at", None]}, {"$gt": ["$done_by_id", None]}]},
            {"$eq": [{"$gt": ["$done_at", None]}, {"$gt": ["$done_by_name", None]}]},
        ]
    },
)

CONTRACT = CollectionContract(
    document=Interaction,
    rules=(ONLY_TASKS_HAVE_A_STATUS, ONLY_DONE_TASKS_HAVE_BEEN_DONE),
    grants={Role.ADMIN: "find insert update remove", Role.SALES: "find insert update"},
)
