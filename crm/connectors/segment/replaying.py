"""Reads a message again that was rejected before. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Raw

from crm.connectors.segment.contexts import as_sent
from crm.connectors.segment.limits import LARGE_BODY_BYTES, TYPES, Limits
from crm.connectors.segment.reading import read
from crm.errors import CrmError
from crm.events.messages import Message, Rejected


def read_again(kept: Rejected, received_at: datetime, event_types: frozenset[str]) -> Message | Rejected:
    """One message, as the rules are today, with what its batch said for all.

    Args:
        kept: As it was rejected; of one that was too long, the beginning.
        received_at: When it came.
        event_types: What its key may send; empty is everything.
    """
    limits = Limits(LARGE_BODY_BYTES, event_types or TYPES)
    try:
        said = read(kept.type, _body(kept, received_at), received_at=received_at, limits=limits)
    except CrmError as exc:
        return Rejected(0, None, "unreadable", exc.detail, kept.raw, type=kept.type)
    return said.messages[0][1] if said.messages else said.rejected[0]


def _body(kept: Rejected, received_at: datetime) -> bytes:
    raw = kept.raw.encode(errors="replace")
    if kept.type:
        return raw
    sent_at = None if kept.ahead is None else received_at - kept.ahead
    return msgspec.json.encode({"batch": [Raw(raw)], "sentAt": sent_at, "context": as_sent(kept.context)})
