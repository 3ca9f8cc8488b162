"""What tracking clients are told."""

from __future__ import annotations

from typing import Any, Literal

from crm.web.schemas import WireOut


class RejectedMessageOut(WireOut):
    """A message that was not taken; sending it again unchanged gives the same."""

    index: int
    messageId: str | None  # noqa: N815  Segment's own spelling
    code: str
    message: str


class TrackedOut(WireOut):
    """What became of the messages of a request; of those beyond 2,500 only the first hundred are named.

    Attributes:
        accepted: Stored now.
        duplicates: Stored before.
        rejected: Not taken, each with its place in the request and the reason.
    """

    success: Literal[True] = True
    accepted: int
    duplicates: int
    rejected: list[RejectedMessageOut]


class AnsweredOut(WireOut):
    """It was taken."""

    success: Literal[True] = True


class SourceSettingsOut(WireOut):
    """What analytics.js loads before it sends anything.

    Attributes:
        integrations: Where it sends: here.
        plan: Which events it may send: all.
        metrics: Which of its figures of itself it sends: none.
    """

    integrations: dict[str, Any]
    plan: dict[str, Any]
    metrics: dict[str, float]
