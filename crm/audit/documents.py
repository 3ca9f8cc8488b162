"""What is stored of an act."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from crm.database.documents import CrmDocument
from crm.fields import Attributes, ExternalId, Line, Moment
from crm.identity import Kind

#: People whose data one answer can hold: a page.
MOST_TARGETS = 200
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Actor(BaseModel):
    """Who acted, as they were called then."""

    id: Line
    name: Line
    kind: Kind
    role: Annotated[str, Field(pattern=r"^[a-z]{1,32}$")]


class AuditEntry(CrmDocument):
    """One act. No personal data of customers: ids, and the names of fields.

    Attributes:
        id: ``aud_`` and the number of the entry, the first being 1; there is no gap.
        action: One of ``actions.Action``, by a pattern, so that a new one needs no new validator.
        targets: Whose data, or what: our ids, a product's SKU.
        details: What belongs to the action.
        address: Where the request came from.
        request_id: As the log of requests has it.
        prev: ``hash`` of the entry before; zeros for the first.
        hash: SHA-256 of all of this entry but the hash (``chain.digest``).
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^aud_[0-9]{16}$")]
    at: Moment
    actor: Actor
    action: Annotated[str, Field(pattern=r"^[a-z_]{1,32}\.[a-z_]{1,32}$")]
    targets: Annotated[list[ExternalId], Field(max_length=MOST_TARGETS)]
    details: Attributes
    address: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    prev: Hash
    hash: Hash

    class Settings:
        """Beanie's settings."""

        name = "audit_log"
        keep_nulls = False
