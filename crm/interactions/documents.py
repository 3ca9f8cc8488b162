"""What is stored of an interaction."""

from __future__ import annotations

from crm.customers.schemas import MovedBy
from crm.database.documents import VersionedDocument
from crm.fields import Identifier, Line, LongText, Moment
from crm.interactions.schemas import Direction, Kind, TaskStatus


class Interaction(VersionedDocument):
    """A note, call, e-mail, meeting or task.

    Attributes:
        status: Of a task only.
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
    author_id: Line
    author_name: Line
    moved_by: MovedBy | None = None

    class Settings:
        """Beanie's settings."""

        name = "interactions"
        keep_nulls = False
