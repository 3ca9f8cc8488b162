"""What the database enforces for signing in."""

from __future__ import annotations

from crm.auth.documents import ApiKey, SignInFailures, User
from crm.database.contract import CollectionContract
from crm.identity import Role

#: The role ``auth`` is what the API acts as until it knows who asks; it cannot change what it reads.
CONTRACTS = (
    CollectionContract(document=User, grants={Role.ADMIN: "find insert update remove", Role.AUTH: "find"}),
    CollectionContract(document=ApiKey, grants={Role.ADMIN: "find insert update remove", Role.AUTH: "find"}),
    CollectionContract(
        document=SignInFailures,
        grants={Role.ADMIN: "find insert update remove", Role.AUTH: "find insert update remove"},
    ),
)
