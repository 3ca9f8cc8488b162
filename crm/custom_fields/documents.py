"""What is stored of a custom field."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crm.custom_fields.schemas import MOST_CHOICES, Choice, FieldState, FieldType
from crm.database.documents import VersionedDocument
from crm.fields import AttributeName, Line


class CustomField(VersionedDocument):
    """A field that an admin has defined; ``_id`` is its name.

    Attributes:
        required: Whether staff must give it; what machines push may be without.
        indexed: Whether customers can be found by it.
        state: Whether the validator and the index are known to be there (``schemas.FieldState``).
    """

    id: Annotated[AttributeName, Field(alias="_id")]  # type: ignore[assignment]  # text, as CrmDocument has it; Beanie says ObjectId
    label: Line
    type: FieldType
    choices: Annotated[list[Choice], Field(min_length=1, max_length=MOST_CHOICES)] | None = None
    required: bool
    indexed: bool
    state: FieldState

    class Settings:
        """Beanie's settings."""

        name = "custom_fields"
        keep_nulls = False
