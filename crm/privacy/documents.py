"""What is stored of privacy requests."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crm.database.documents import CrmDocument
from crm.fields import ExternalId, Identifier, Moment, Phone, SourceName
from crm.privacy.schemas import MOST_ORDERS, PrivacyKind


class PrivacyRequest(CrmDocument):
    """What a shop asked on a person's behalf. Carried out by a later version; until then it waits.

    Attributes:
        email: Normalised. With the telephone the only way to find somebody who is known here by no id of the shop's.
        phone: As the shop has it.
        orders: External ids of the orders it reaches.
        due_at: The law's limit.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^prv_[0-9A-Za-z]{1,64}$")]
    connection_id: Identifier
    source: SourceName
    kind: PrivacyKind
    request_id: ExternalId | None = None
    external_customer_id: ExternalId | None = None
    email: Annotated[str, Field(min_length=3, max_length=254)] | None = None
    phone: Phone | None = None
    orders: Annotated[list[ExternalId], Field(max_length=MOST_ORDERS)] = []
    state: Literal["queued"]
    received_at: Moment
    due_at: Moment

    class Settings:
        """Beanie's settings."""

        name = "privacy_requests"
        keep_nulls = False
