"""Wire shapes of erasures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from crm.fields import Moment
from crm.web.schemas import WireIn, WireOut, example

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
ErasureState = Literal["running", "done"]


class EraseIn(WireIn):
    """Why somebody is erased. It is kept, so it must not name them."""

    model_config = example(reason="The customer asked for it, ticket 4711.")

    reason: Reason


class ErasureOut(WireOut):
    """An erasure: that it was done, when, by whom and why; nothing of whom it was but the id."""

    id: str
    customer_id: str | None
    reason: str
    requested_by: str
    requested_at: Moment
    state: ErasureState
    done_at: Moment | None
