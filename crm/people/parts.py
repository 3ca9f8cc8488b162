"""The one list of all that is stored of people: which collections, how it is told, and how it is forgotten.

A test demands that every collection of the contract is here: in a part, or among those that hold nothing of a person,
with the reason. So a new collection needs a decision.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from crm.activity import service as activity
from crm.audit import service as audit
from crm.customers import service as customers
from crm.duplicates import service as duplicates
from crm.events import service as events
from crm.idempotency import service as idempotency
from crm.identities import service as identities
from crm.inbox import service as inbox
from crm.interactions import service as interactions
from crm.ledger.service import Known
from crm.merges import service as merges
from crm.orders import service as orders
from crm.person import Person, Remains, Tell
from crm.privacy import service as privacy

Look = Callable[[Known, str, int], Awaitable[Remains]]
"""Looks for people of the ledger among the documents behind an id, so many at a time."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one feature stores of people.

    Attributes:
        collections: Where.
        forget: Removes it, or makes it anonymous; again changes nothing. None where nothing goes: it holds ids only.
        disclose: Tells it.
        looks: Each finds what is there of people who were erased, after a restore. A part that is found through its
            customer has none.
    """

    collections: tuple[str, ...]
    forget: Callable[[Person], Awaitable[None]] | None
    disclose: Callable[[Person, Tell], Awaitable[None]]
    looks: tuple[Look, ...] = ()


#: In this order they are forgotten: what tells where the rest is goes last, so that an erasure that was interrupted
#: finds everything again.
PARTS: Final = (
    Part(("audit_log",), None, audit.disclose),
    Part(("inbox",), inbox.forget, inbox.disclose, (inbox.remains,)),
    Part(("events", "event_rejects"), events.forget, events.disclose, (events.remains, events.rejects_that_remain)),
    Part(("activities",), activity.forget, activity.disclose),
    Part(("interactions",), interactions.forget, interactions.disclose),
    Part(("orders", "order_versions"), orders.forget, orders.disclose, (orders.remains,)),
    Part(("idempotency_keys",), idempotency.forget, idempotency.disclose, (idempotency.remains,)),
    Part(("privacy_requests",), privacy.forget, privacy.disclose, (privacy.remains,)),
    Part(("duplicate_pairs",), duplicates.forget, duplicates.disclose),
    Part(("merges",), merges.forget, merges.disclose, (merges.remains,)),
    Part(("identities",), identities.forget, identities.disclose, (identities.remains,)),
    Part(("customers", "customer_changes", "consents"), customers.forget, customers.disclose, (customers.remains,)),
)

#: Collections that hold nothing of a person, and why.
IMPERSONAL: Final = {
    "products": "what is sold",
    "custom_fields": "what fields an admin has defined; their values stand in customers",
    "stats_due": "ids of customers for moments, until their totals are added up",
    "activity_watermarks": "how far processes are",
    "connections": "shops",
    "connection_secrets": "secrets of shops",
    "schema_locks": "who changes the database",
    "backup_runs": "when a backup was made",
    "growth_samples": "how large the store was",
    "schema_changes": "how far changes of the data have come: the id of one document, until they are done",
    "users": "staff, who are no customers; a colleague is disabled with `crm user disable`",
    "api_keys": "systems",
    "sign_in_failures": "hashes of addresses of staff, for 15 minutes",
    "rate_limits": "how much keys have sent",
    "erasures": "that somebody was erased; while one runs, ids of what is to go",
}
