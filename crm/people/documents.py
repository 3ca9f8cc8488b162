"""What is stored of an erasure."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from crm.database.documents import CrmDocument
from crm.fields import Identifier, Line, Moment
from crm.people.schemas import ErasureState, Reason

#: Of one person; of those beyond these, events are left to their TTL where a process is killed in the midst of it.
MOST_IDENTITIES: Final = 200_000


class Erasure(CrmDocument):
    """An erasure, without anything of whom it was: so that one that was interrupted is carried on.

    Attributes:
        customer_id: Whom; None where nobody was a customer, or the ledger was replayed.
        customers: All ids to be forgotten, while it runs.
        identities: Theirs, while it runs: once they are emptied nothing else tells whose the events are.
        requested_by: The principal's id.
        claimed_until: A process is at it.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^era_[0-9A-Za-z]{1,64}$")]
    customer_id: Identifier | None = None
    customers: Annotated[list[Identifier], Field(max_length=1_000)] | None = None
    identities: Annotated[list[Identifier], Field(max_length=MOST_IDENTITIES)] | None = None
    reason: Reason
    requested_by: Line
    requested_at: Moment
    state: ErasureState
    claimed_until: Moment | None = None
    done_at: Moment | None = None

    class Settings:
        """Beanie's settings."""

        name = "erasures"
        keep_nulls = False
