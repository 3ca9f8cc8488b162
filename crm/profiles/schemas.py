"""Wire shapes of what spans features."""

from __future__ import annotations

from typing import Any, Literal

from crm.fields import Moment
from crm.web.schemas import WireOut

TimelineKind = Literal["order", "refund", "event", "interaction", "task_done", "identity"]


class LinkedOut(WireOut):
    """A name that turned out to be the customer's: a browser, a user id, an e-mail address."""

    id: str
    kind: Literal["user", "visitor", "email"]
    source: str | None
    value: str


class TimelineEntry(WireOut):
    """One thing that happened with a customer; ``detail`` has the shape of its kind's own resource."""

    kind: TimelineKind
    id: str
    at: Moment
    summary: str
    detail: dict[str, Any]
