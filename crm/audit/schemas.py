"""Wire shapes of the audit log."""

from __future__ import annotations

from typing import Any

from crm.fields import Moment
from crm.identity import Kind
from crm.web.schemas import WireOut


class ActorOut(WireOut):
    """Who acted, as they were called then; ``id`` is ``cli`` for the command line on the server."""

    id: str
    name: str
    kind: Kind
    role: str


class AuditEntryOut(WireOut):
    """One act: who, what, whose data, when and from where.

    Attributes:
        seq: Number of the entry; there is no gap.
        targets: Ids of those whose data it was, or of what it was about.
        details: What belongs to the action; ``refused`` says why a change that was announced was not made.
        prev: ``hash`` of the entry before.
        hash: SHA-256 of this entry.
    """

    id: str
    seq: int
    at: Moment
    actor: ActorOut
    action: str
    targets: list[str]
    details: dict[str, Any]
    address: str | None
    request_id: str | None
    prev: str
    hash: str
