"""What is stored of privacy requests."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crm.database.documents import CrmDocument
from crm.fields import ExternalId, Identifier, Moment, Phone, SourceName
from crm.privacy.schemas import MOST_CUSTOMERS, MOST_ORDERS, PrivacyKind, PrivacyOutcome, PrivacyState


class PrivacyRequest(CrmDocument):
    """What a shop asked on a person's behalf.

    Attributes:
        email: Normalised. With the telephone the only way to find somebody who is known here by no id of the shop's.
        phone: As the shop has it.
        orders: External ids of the orders it reaches.
        state: ``queued`` until it is carried out; ``ready`` where an export waits to be fetched; ``done``.
        outcome: What came of it; ``nobody`` was found where nobody here goes by these names.
        customer_ids: Whom it means.
        claimed_until: A process is at it.
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
    state: PrivacyState
    outcome: PrivacyOutcome | None = None
    customer_ids: Annotated[list[Identifier], Field(max_length=MOST_CUSTOMERS)] | None = None
    claimed_until: Moment | None = None
    received_at: Moment
    due_at: Moment
    done_at: Moment | None = None

    class Settings:
        """Beanie's settings."""

        name = "privacy_requests"
        keep_nulls = False
