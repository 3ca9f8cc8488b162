"""What is stored of the store's size."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from crm.database.documents import CrmDocument
from crm.fields import Moment

_Count = Annotated[int, Field(ge=0, le=2**53)]


class CollectionSize(BaseModel):
    """Of one collection.

    Attributes:
        name: Which.
        documents: How many.
        stored: Bytes on disk, compressed; indexes included.
    """

    name: Annotated[str, Field(min_length=1, max_length=120)]
    documents: _Count
    stored: _Count


class GrowthSample(CrmDocument):
    """The last measurement of a day.

    Attributes:
        id: The day (UTC), as in ``2026-01-31``.
        at: When it was measured.
        disk_used: Bytes of the disk that MongoDB's data are on, whoever uses them.
        disk_total: Bytes that it has.
        collections: Those that have documents.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^\d{4}-\d{2}-\d{2}$")]
    at: Moment
    disk_used: _Count
    disk_total: _Count
    collections: Annotated[list[CollectionSize], Field(max_length=200)]

    class Settings:
        """Beanie's settings."""

        name = "growth_samples"
        keep_nulls = False
