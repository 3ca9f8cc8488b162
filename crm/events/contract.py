"""What the database enforces for browsing events."""

from __future__ import annotations

from typing import Final

from crm.database.contract import CollectionContract, Rule, View
from crm.events.documents import Event, EventReject
from crm.identity import Role

_SAYS_WHO: Final = ["identify", "alias", "group"]

IS_SOMEBODYS = Rule(
    "an event is somebody's: identity_id says who did it, or identifies who is meant",
    {"$ne": [{"$gt": ["$identity_id", None]}, {"$gt": ["$identifies", None]}]},
)
FITS_ITS_TYPE = Rule(
    "identify, alias and group messages have identifies and the retention identity; others have neither",
    {
        "$let": {
            "vars": {"says_who": {"$in": ["$type", _SAYS_WHO]}},
            "in": {
                "$and": [
                    {"$eq": ["$$says_who", {"$gt": ["$identifies", None]}]},
                    {"$eq": ["$$says_who", {"$eq": ["$retention", "identity"]}]},
                ]
            },
        }
    },
)
IS_TRACKED = Rule(
    "a track event has a name, and nothing else has commerce",
    {
        "$cond": [
            {"$eq": ["$type", "track"]},
            {"$gt": ["$name", None]},
            {"$lte": ["$commerce", None]},
        ]
    },
)
NOT_BEFORE_IT_HAPPENED = Rule("occurred_at is not later than received_at", {"$lte": ["$occurred_at", "$received_at"]})

EVENTS = CollectionContract(
    document=Event,
    rules=(IS_SOMEBODYS, FITS_ITS_TYPE, IS_TRACKED, NOT_BEFORE_IT_HAPPENED),
    grants={
        Role.ADMIN: "find insert update remove",
        Role.SALES: "find",
        Role.INGEST: "find insert update",
        Role.TRACKING: "insert",
    },
    view=View(
        "events_nopii",
        hides=("properties", "context", "anonymous_id", "user_id", "commerce.query"),
        # What was done has a name of the shop's; a page is called by its title, which may greet somebody.
        hides_unless={"name": ("type", "track")},
    ),
)
#: What was rejected is whatever anybody with a public key chose to send: for admins only.
REJECTS = CollectionContract(
    document=EventReject,
    grants={
        Role.ADMIN: "find insert update remove",
        Role.INGEST: "insert",
        Role.TRACKING: "insert",
    },
)
CONTRACTS = (EVENTS, REJECTS)
