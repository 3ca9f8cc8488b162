"""What is stored of backups: not where they lie, only that there are some."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crm.database.documents import CrmDocument
from crm.fields import Line, Moment

Kind = Literal["backup", "restore", "slice"]


class BackupRun(CrmDocument):
    """The last run of its kind that went well; one document for each kind, replaced by the next.

    Attributes:
        id: ``backup`` for one that was made, ``restore`` for one that was restored and compared, ``slice`` for a slice
            of the oplog.
        backup: The backup's name, or the slice's.
        as_of: The moment that its data are of.
        at: When the run was over.
        seconds: How long it took; 0 of a slice, for which nobody waits.
    """

    id: Annotated[Kind, Field(alias="_id")]
    backup: Line
    as_of: Moment
    at: Moment
    seconds: Annotated[float, Field(ge=0, le=1e9)]

    class Settings:
        """Beanie's settings."""

        name = "backup_runs"
        keep_nulls = False
