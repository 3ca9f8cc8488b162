"""Reads a message again that was rejected before. Pure."""

from __future__ import annotations

from datetime import datetime

from crm.connectors.segment.limits import LARGE_BODY_BYTES, TYPES, Limits
from crm.connectors.segment.reading import read
from crm.errors import CrmError
from crm.events.messages import Message, MessageType, Rejected


def read_again(
    raw: str, type_: MessageType | None, received_at: datetime, event_types: frozenset[str]
) -> Message | Rejected:
    """One message, as the rules are today.

    Args:
        raw: Its JSON text; of one that was too long, the beginning.
        type_: What the route said that it is; None where it says so itself.
        received_at: When it came. What its batch said of the sender's clock is gone.
        event_types: What its key may send; empty is everything.
    """
    limits = Limits(LARGE_BODY_BYTES, event_types or TYPES)
    body = raw if type_ else f'{{"batch":[{raw}]}}'
    try:
        said = read(type_, body.encode(errors="replace"), received_at=received_at, limits=limits)
    except CrmError as exc:
        return Rejected(0, None, "unreadable", exc.detail, raw, type=type_)
    return said.messages[0][1] if said.messages else said.rejected[0]
