"""What is stored of a merge."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crm.database.documents import CrmDocument
from crm.fields import Identifier, Line, Moment

State = Literal["moving", "moved", "undoing", "undone"]


class Merge(CrmDocument):
    """A merge of two customers.

    Attributes:
        customer_ids: The survivor's, then that of the other, who is none since.
        state: ``moving`` while what belonged to the other is brought over, ``undoing`` while it is brought back.
        at: When it was made.
        by: Who made it.
        by_name: What colleagues called them then.
        undo_until: Until then it can be undone, and only so long the three documents are kept.
        survivor_before: The survivor's document before, to the byte.
        other_before: The other's, to the byte.
        merged: The survivor's document as the merge left it.
        undone_at: When it was undone.
        undone_by: Who undid it.
        kept: Fields that had been edited in between and stayed with the survivor.
        withheld: Fields of which the other did not get everything back, because somebody else had it by then, or no
            customer might have it any more.
        settles_at: No write that began before the merge, or before it was undone, can arrive after that.
        due_at: When something has to be brought over next; only while ``moving`` or ``undoing``.
        claimed_until: A process is at it.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^mrg_[0-9A-Za-z]{1,64}$")]
    customer_ids: Annotated[list[Identifier], Field(min_length=2, max_length=2)]
    state: State
    at: Moment
    by: Line
    by_name: Line
    undo_until: Moment | None = None
    survivor_before: bytes | None = None
    other_before: bytes | None = None
    merged: bytes | None = None
    undone_at: Moment | None = None
    undone_by: Line | None = None
    kept: list[Line] | None = None
    withheld: list[Line] | None = None
    settles_at: Moment
    due_at: Moment | None = None
    claimed_until: Moment | None = None

    class Settings:
        """Beanie's settings."""

        name = "merges"
        keep_nulls = False
