"""What is stored of deliveries."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crm.database.documents import CrmDocument
from crm.fields import ExternalId, Identifier, Moment
from crm.inbox.schemas import Note, Outcome, State, Topic

_Reason = Annotated[str, Field(pattern=r"^[a-z_]{1,64}$")]


class Delivery(CrmDocument):
    """What arrived by webhook, as it came.

    Attributes:
        body: To the byte.
        resource: What it is about, such as ``order/1001``.
        source_version: The source's own date of that state of the resource.
        overrides: Carried out whatever was carried out before.
        state: ``waiting``, ``working`` (claimed until ``due_at``), ``done`` (with an ``outcome``) or ``dead``.
        attempts: How often it was claimed.
        due_at: When it is tried next, or when the present claim ends; only while it is not settled.
        expires_at: When it is forgotten; only when done.
        reason: Why it is dead.
        detail: The same as a sentence, without any value that was sent.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^dlv_[0-9A-Za-z]{1,64}$")]
    connection_id: Identifier
    topic: Topic
    body: bytes
    resource: ExternalId | None = None
    source_version: Moment | None = None
    overrides: bool = False
    webhook_id: ExternalId | None = None
    event_id: ExternalId | None = None
    api_version: ExternalId | None = None
    triggered_at: Moment | None = None
    received_at: Moment
    state: State
    outcome: Outcome | None = None
    attempts: Annotated[int, Field(ge=0, le=2**31)] = 0
    due_at: Moment | None = None
    expires_at: Moment | None = None
    reason: _Reason | None = None
    detail: Note | None = None

    class Settings:
        """Beanie's settings."""

        name = "inbox"
        keep_nulls = False
