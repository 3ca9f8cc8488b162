"""Wire shapes of duplicates."""

from __future__ import annotations

from typing import Literal

from crm.customers.schemas import CustomerOut
from crm.fields import Moment
from crm.web.schemas import WireOut

State = Literal["open", "dismissed"]
#: Why two customers may be one: they share a telephone; an e-mail address, but for what its provider ignores; a whole
#: name and where they live.
Reason = Literal["same_phone", "same_mailbox", "same_name_and_address"]


class DuplicateOut(WireOut):
    """Two customers who may be one person: why, and how likely, of 100."""

    id: str
    customers: list[CustomerOut]
    reasons: list[Reason]
    score: int
    state: State
    found_at: Moment
    seen_at: Moment
    dismissed_at: Moment | None
    dismissed_by: str | None
