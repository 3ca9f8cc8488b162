"""What is stored of the changes of a database."""

from __future__ import annotations

from typing import Annotated

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
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^apply$")]
    lease: Identifier
    holder: Line
    taken_at: Moment
    leased_until: Moment

    class Settings:
        """Beanie's settings."""

        name = "schema_locks"
        keep_nulls = False
