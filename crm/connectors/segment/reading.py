"""A request of a tracking client → messages in our own terms, and what cannot be taken. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from crm.connectors.segment.limits import Limits
from crm.errors import TooLarge, UnreadableRequest
from crm.events.messages import Message, Rejected


@dataclass(slots=True)
class Read:
    """What a request says.

    Attributes:
        messages: Each with its place in the request.
        rejected: Those that cannot be taken, each with its place.
        write_key: The key in the body, for clients that send none in a header.
    """

    messages: list[tuple[int, Message]]
    rejected: list[Rejected]
    write_key: str | None


def read(path_type: str | None, body: bytes, *, received_at: datetime, limits: Limits) -> Read:  # noqa: ARG001  until it reads
    """Read a request.

    Args:
        path_type: What the route says that the one message in the body is: page, screen, track, identify, alias or
            group; None where the body is a batch.
        body: JSON, unpacked, whatever its content type says.
        received_at: Now, in UTC and whole milliseconds.
        limits: What the key allows.

    Raises:
        UnreadableRequest: The body is no JSON object, or no batch.
        TooLarge: It is larger than the key allows.
    """
    if len(body) > limits.most_body_bytes:
        raise TooLarge("The body is larger than this key may send.")
    raise UnreadableRequest("The body is not JSON that can be read.")
