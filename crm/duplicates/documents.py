"""What is stored of a pair of customers who may be one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crm.database.documents import CrmDocument
from crm.duplicates.schemas import Reason, State
from crm.fields import Identifier, Line, Moment

_Reasons = Annotated[list[Reason], Field(min_length=1, max_length=10)]


class DuplicatePair(CrmDocument):
    """Two customers and why they may be one: no names, no address. ``_id`` derives from the two ids.

    Attributes:
        customer_ids: The two, in the order of their ids.
        reasons: What they share.
        score: How likely, of 100.
        state: ``dismissed`` once somebody has said that they are two.
        found_at: When they were first found.
        seen_at: When a scan found them last.
        dismissed_reasons: What they shared when that was said; for these reasons they are not proposed again.
        dismissed_at: When.
        dismissed_by: Who said it.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^dup_[0-9A-Z]{26}$")]
    customer_ids: Annotated[list[Identifier], Field(min_length=2, max_length=2)]
    reasons: _Reasons
    score: Annotated[int, Field(ge=0, le=100)]
    state: State
    found_at: Moment
    seen_at: Moment
    dismissed_reasons: _Reasons | None = None
    dismissed_at: Moment | None = None
    dismissed_by: Line | None = None

    class Settings:
        """Beanie's settings."""

        name = "duplicate_pairs"
        keep_nulls = False
