"""What the database enforces for limits."""

from __future__ import annotations

from crm.database.contract import CollectionContract
from crm.identity import Role
from crm.rate_limits.documents import RateLimit

#: The API's own user counts: a public key cannot touch its own limit.
CONTRACT = CollectionContract(
    document=RateLimit, grants={Role.ADMIN: "find insert update remove", Role.AUTH: "find insert update"}
)
