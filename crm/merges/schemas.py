"""Wire shapes of merges."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crm.customers.schemas import CustomerOut
from crm.fields import Identifier, Moment, Version
from crm.web.schemas import WireIn, WireOut, example

Side = Literal["this", "other"]


class MergeWith(WireIn):
    """Whom to merge into the customer in the path."""

    model_config = example(other="cus_01JZ0000000000000000000001")

    other: Identifier


class Versions(WireIn):
    """The versions that were looked at."""

    this: Version
    other: Version


class MergeIn(WireIn):
    """A merge, as a preview proposed it. What is not chosen of a conflict becomes what the preview said."""

    model_config = example(
        other="cus_01JZ0000000000000000000001",
        versions={"this": 3, "other": 1},
        choices={"phone": "other", "attributes.locale": "this"},
    )

    other: Identifier
    versions: Versions
    choices: Annotated[dict[Annotated[str, Field(min_length=1, max_length=100)], Side], Field(max_length=110)] = {}


class DecisionOut(WireOut):
    """What becomes of a field that either of them has: whose value, and why; of a conflict, a choice decides."""

    field: str
    origin: Literal["this", "other", "both", "neither"]
    why: str
    conflict: bool


class MergePreview(WireOut):
    """Both customers as they are, and what they would be together."""

    this: CustomerOut
    other: CustomerOut
    result: CustomerOut
    decisions: list[DecisionOut]


class MergeOut(WireOut):
    """A merge. ``kept`` and ``withheld`` are told of one that was undone."""

    id: str
    survivor_id: str
    other_id: str
    state: Literal["moving", "moved", "undoing", "undone"]
    at: Moment
    by: str
    by_name: str
    undo_until: Moment | None
    undone_at: Moment | None
    undone_by: str | None
    kept: list[str]
    withheld: list[str]


class MergedOut(MergeOut):
    """A merge that was just made, with the survivor."""

    customer: CustomerOut


class PartedOut(MergeOut):
    """A merge that was just undone, with both customers."""

    customer: CustomerOut
    other: CustomerOut
