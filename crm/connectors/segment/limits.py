"""How much a tracking client may send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

from crm.events.messages import MessageType

#: Segment's own limits: bytes of a request, bytes of one message, messages of a batch.
MOST_BODY_BYTES: Final = 500 * 1024
MOST_MESSAGE_BYTES: Final = 32 * 1024
MOST_MESSAGES: Final = 2_500
#: RudderStack's clients send larger requests; a key must allow it.
LARGE_BODY_BYTES: Final = 4 * 1024 * 1024
TYPES: Final[frozenset[str]] = frozenset(get_args(MessageType))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key allows.

    Attributes:
        most_body_bytes: Of a request, when it is unpacked.
        event_types: Of messages: page, screen, track, identify, alias, group.
    """

    most_body_bytes: int = MOST_BODY_BYTES
    event_types: frozenset[str] = TYPES
