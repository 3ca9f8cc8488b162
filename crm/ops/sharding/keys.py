"""By which field each collection would be spread over shards, and what keeps unique then what is unique now.

MongoDB enforces a unique index across shards only where it begins with the shard key, and none can begin with a hashed
one. So what is unique today is either kept by ``_id`` (equal ids have the same shard key) or has to be claimed: by a
document in a collection of its own whose ``_id`` is what must be unique, spread by that ``_id``, and inserted first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from crm.database.reach import Keys


@dataclass(frozen=True, slots=True)
class Spread:
    """How a collection is spread.

    Attributes:
        collection: Which.
        key: Fields of the shard key; the first is hashed, because our ids begin with the time. Empty: not spread.
        why: This key and no other; or why it need not be spread.
        ids: Why no two documents of it get the same ``_id``; only where MongoDB itself does not see to it.
        unique: Unique index → what takes its place.
    """

    collection: str
    key: tuple[str, ...]
    why: str
    ids: str = ""
    unique: Mapping[str, str] = field(default_factory=dict)


_SMALL: Final = "small, and read by every process"
_PASSING: Final = "short-lived: what is in it now is carried out and forgotten"

SPREADS: Final = (
    Spread(
        "customers", ("_id",), "read and changed by id; addresses and names are lists, which cannot be a shard key",
        unique={
            "one_customer_per_email_key": "claim `email:<key>` in customer_claims, for each key of the customer",
            "one_customer_per_external_id": "claim `external:<source>:<id>` in customer_claims",
            "one_customer_per_former_id": "claim `former:<id>` in customer_claims, when two are merged",
        },
    ),
    Spread("customer_changes", ("customer_id", "_id"), "read for a customer", ids="ids are random"),
    Spread("consents", ("customer_id", "_id"), "read for a customer", ids="ids are random"),
    Spread(
        "orders", ("customer_id", "_id"),
        "totals, timeline and lists are of a customer, and totals are added up after every push; with the shop's own "
        "id every shard would have to help with each",
        ids="ids are random; that an order is not stored twice is what the claim sees to",
        unique={"one_order_per_external_id": "claim `<source>:<external id>` in order_claims, with id and customer"},
    ),
    Spread(
        "order_versions", ("order_id", "version"), "read for an order",
        ids="they derive from order and version, and one order's are on one shard",
        unique={"one_of_each_version": "`_id` derives from both, and one order's versions are on one shard"},
    ),
    Spread(
        "events", ("identity_id", "_id"), "what a visitor did is read for an identity, half a second after each event",
        ids="they derive from source and message id; the same message with another identity would be stored twice",
    ),
    Spread("event_rejects", (), "kept for 14 days, and capped for each key"),
    Spread("identities", ("_id",), "read and changed by id, which derives from what it stands for"),
    Spread("activities", ("_id",), "one for each customer, with the customer's id"),
    Spread("activity_watermarks", (), _SMALL),
    Spread("interactions", ("customer_id", "_id"), "read for a customer", ids="ids are random"),
    Spread("idempotency_keys", ("_id",), "read and changed by id, which derives from the key and who sends it"),
    Spread("stats_due", (), _PASSING),
    Spread("inbox", (), _PASSING + "; two states of one order must exclude each other"),
    Spread("audit_log", (), "each entry has the hash of the one before: one end, which one shard has"),
    Spread("products", (), "as many as a shop has articles"),
    Spread("rate_limits", (), _SMALL),
    Spread("sign_in_failures", (), _SMALL),
    Spread("users", (), _SMALL),
    Spread("api_keys", (), _SMALL),
    Spread("connections", (), _SMALL),
    Spread("connection_secrets", (), _SMALL),
    Spread("custom_fields", (), _SMALL),
    Spread("privacy_requests", (), _SMALL),
    Spread("erasures", (), _SMALL),
    Spread("merges", (), "as rare as staff merge customers, and of two customers each"),
    Spread("duplicate_pairs", (), "of two customers each: neither could lead to its shard; suspicions, found anew"),
    Spread("backup_runs", (), _SMALL),
    Spread("growth_samples", (), _SMALL),
    Spread("schema_locks", (), _SMALL),
    Spread("schema_changes", (), _SMALL),
    Spread("forgotten", (), "the erasure ledger: small, and in a database of its own"),
)  # fmt: skip
#: Collection → the field that is hashed, of those that are spread.
DECLARED: Final[Keys] = {spread.collection: spread.key[0] for spread in SPREADS if spread.key}
