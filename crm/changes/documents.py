"""What is stored of the changes of a database."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crm.database.documents import CrmDocument
from crm.fields import Identifier, Line, Moment


class SchemaLock(CrmDocument):
    """Who may change the database; one document, taken over in turn and never removed. Its dates are the server's.

    Attributes:
        lease: Names the run that holds it; each run draws a new one.
        holder: Who that is, and where, for whoever has to wait.
        taken_at: When it was taken.
        leased_until: From then on another may take it: this run has ended, or is taken for dead.
        both_since: Since when two versions run beside each other; None when one does.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^apply$")]
    lease: Identifier
    holder: Line
    taken_at: Moment
    leased_until: Moment
    both_since: Moment | None = None

    class Settings:
        """Beanie's settings."""

        name = "schema_locks"
        keep_nulls = False


class SchemaChange(CrmDocument):
    """How far a numbered change of the data has come; never removed.

    Attributes:
        state: ``running``; ``filled`` when all were changed once, while the version before may write in its form;
            ``done`` when there was none left to change.
        checksum: Of the change as it ran.
        release: The version of this product that ran it.
        lease: The run that may write here.
        position: Id of the last document of the batches that are done in this round; absent at a round's beginning.
        round: Which time it goes through the collection, from 1.
        looked_at: Documents in this round.
        changed: Documents in this round.
        changed_in_all: In all rounds.
        left: How many could not be changed in this round.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^\d{4}_[a-z0-9_]{1,80}$")]
    state: Literal["running", "filled", "done"]
    checksum: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    release: Line
    lease: Identifier
    position: Annotated[str, Field(max_length=300)] | None = None
    round: Annotated[int, Field(ge=1, le=2**31)]
    looked_at: Annotated[int, Field(ge=0, le=2**53)]
    changed: Annotated[int, Field(ge=0, le=2**53)]
    changed_in_all: Annotated[int, Field(ge=0, le=2**53)]
    left: Annotated[int, Field(ge=0, le=2**53)]
    started_at: Moment
    progressed_at: Moment
    ended_at: Moment | None = None

    class Settings:
        """Beanie's settings."""

        name = "schema_changes"
        keep_nulls = False
