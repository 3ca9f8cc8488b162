"""What is stored of an interaction."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from crm.customers.schemas import MovedBy
from crm.database.documents import VersionedDocument
from crm.fields import Identifier, Line, LongText, Moment, Sku
from crm.interactions.schemas import Direction, Kind, MentionKind, TaskStatus


class Mentioned(BaseModel):
    """What an interaction is about: an order by its id, a product by its SKU, which is its id."""

    kind: MentionKind
    id: Sku


class Interaction(VersionedDocument):
    """A note, call, e-mail, meeting or task.

    Attributes:
        status: Of a task only.
        done_at: Since when a task is done; those that were done before this was noted have no such date.
        done_by_id: The user who said so.
        done_by_name: What colleagues called that user then.
        author_id: The user who noted it.
        author_name: What colleagues called that user then.
        moved_by: The merges of customers that brought it to this one, so that undoing them takes it back.
    """

    customer_id: Identifier
    kind: Kind
    subject: Line | None = None
    body: LongText | None = None
    occurred_at: Moment
    direction: Direction | None = None
    outcome: Line | None = None
    due_at: Moment | None = None
    assignee: Identifier | None = None
    status: TaskStatus | None = None
    done_at: Moment | None = None
    done_by_id: Line | None = None
    done_by_name: Line | None = None
    mentions: Annotated[list[Mentioned], Field(max_length=20)] | None = None
    author_id: Line
    author_name: Line
    moved_by: MovedBy | None = None

    class Settings:
        """Beanie's settings."""

        name = "interactions"
        keep_nulls = False
