"""Wire shapes of interactions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from crm.fields import Identifier, Line, LongText, Moment, Sku
from crm.web.schemas import Conditional, WireIn, WireOut, example

Kind = Literal["note", "call", "email", "meeting", "task"]
Direction = Literal["inbound", "outbound"]
TaskStatus = Literal["open", "done"]
MentionKind = Literal["order", "product"]


class Mention(WireIn):
    """An order, by our id, or a product that an interaction is about."""

    kind: MentionKind
    id: Identifier | None = None
    sku: Sku | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.id is not None, self.sku is not None) != (self.kind == "order", self.kind == "product"):
            raise ValueError("An order is mentioned by its id, a product by its sku.")
        return self


Mentions = Annotated[list[Mention], Field(max_length=20)]


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
    mentions: Mentions = []

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
    mentions: Mentions | None = None


@dataclass(frozen=True, slots=True)
class InteractionFilter:
    """What a list of interactions is narrowed to.

    Attributes:
        customer_id: With whom.
        assignee: Tasks of a user; ``me`` is who asks.
        status: Tasks in this state.
        mentions: ``order:`` and an id, or ``product:`` and a SKU.
        due_after: Tasks due at or after.
        due_before: Tasks due before.
    """

    customer_id: str | None = None
    assignee: str | None = None
    status: TaskStatus | None = None
    mentions: str | None = None
    due_after: datetime | None = None
    due_before: datetime | None = None


class InteractionOut(WireOut):
    """An interaction, who noted it, and of a task that is done, who did it when."""

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
    done_at: Moment | None
    done_by_id: str | None
    done_by_name: str | None
    mentions: list[Mention]
    author_id: str
    author_name: str
    created_at: Moment
    updated_at: Moment
