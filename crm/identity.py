"""Who acts: the first argument of every service function."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal


class Role(StrEnum):
    """A MongoDB role of the same name exists for each; people and keys act as one of the first five."""

    ADMIN = "admin"
    SALES = "sales"
    ANALYST = "analyst"
    INGEST = "ingest"
    TRACKING = "tracking"
    AUTH = "auth"  # the API itself while it finds out who asks
    MIGRATOR = "migrator"
    BACKUP = "backup"
    RESTORE = "restore"


Permission = Literal["pii:read"]
#: To see e-mail addresses and telephone numbers as they are (``crm/masking.py``).
PII_READ: Final[Permission] = "pii:read"
Kind = Literal["user", "key", "system", "anonymous"]

STAFF_ROLES: Final = (Role.ADMIN, Role.SALES, Role.ANALYST)
KEY_KINDS: Final = (Role.INGEST, Role.TRACKING)
#: The roles a request can act as: the API holds a client for each.
API_ROLES: Final = (*STAFF_ROLES, *KEY_KINDS, Role.AUTH)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request.

    Attributes:
        id: The user's or key's id; ``"anonymous"`` and ``"system"`` for nobody and for the service itself.
        role: What they may do, in the API and in MongoDB.
        name: What colleagues see beside what this principal did.
        kind: How they were recognised.
        address: Where the request comes from; None where there is none.
        request_id: Of the request, as the log has it.
        permissions: What they may besides what their role may.
    """

    id: str
    role: Role
    name: str
    kind: Kind
    address: str | None = None
    request_id: str | None = None
    permissions: frozenset[Permission] = frozenset()


ANONYMOUS: Final = Principal(id="anonymous", role=Role.AUTH, name="anonymous", kind="anonymous")
_TRUSTED: Final = frozenset({PII_READ})
SYSTEM: Final = Principal(id="system", role=Role.ADMIN, name="the service", kind="system", permissions=_TRUSTED)
#: Carries out what webhooks delivered.
INBOX: Final = Principal(id="inbox", role=Role.INGEST, name="the inbox", kind="system", permissions=_TRUSTED)
