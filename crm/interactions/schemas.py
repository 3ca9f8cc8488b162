"""Wire shapes of interactions."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from crm.fields import Identifier, Line, LongText, Moment
from crm.web.schemas import Conditional, WireIn, WireOut, example

Kind = Literal["note", "call", "email", "meeting", "task"]
Direction = Literal["inbound", "outbound"]
TaskStatus = Literal["open", "done"]


class InteractionCreate(WireIn):
    """A talk with a customer, or a task for staff."""

    model_config = example(
        customer_id="cus_01JZ0000000000000000000000",
        kind="call",
        subject="Asked where the parcel is",
        body="Promised to ring back.",
        direction="inbound",
    )

    customer_id: Identifier
    kind: Kind
    subject: Line | None = None
    body: LongText | None = None
    occurred_at: Moment | None = None
    direction: Direction | None = None
    outcome: Line | None = None
    due_at: Moment | None = None
    assignee: Identifier | None = None
    status: TaskStatus | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.subject is None and self.body is None:
            raise ValueError("An interaction has a subject or a body.")
        if self.kind != "task" and (self.due_at or self.assignee or self.status):
            raise ValueError("Only a task has due_at, assignee and status.")
        if self.direction is not None and self.kind not in {"call", "email"}:
            raise ValueError("Only a call or an email has a direction.")
        return self


class InteractionUpdate(Conditional):
    """A merge patch: absent fields stay, null removes."""

    model_config = example(version=1, outcome="Parcel arrived")

    subject: Line | None = None
    body: LongText | None = None
    occurred_at: Moment | None = None
    outcome: Line | None = None
    due_at: Moment | None = None
    assignee: Identifier | None = None
    status: TaskStatus | None = None


class InteractionOut(WireOut):
    """An interaction, and who noted it."""

    id: str
    version: int
    customer_id: str
    kind: Kind
    subject: str | None
    body: str | None
    occurred_at: Moment
    direction: Direction | None
    outcome: str | None
    due_at: Moment | None
    assignee: str | None
    status: TaskStatus | None
    author_id: str
    author_name: str
    created_at: Moment
    updated_at: Moment
