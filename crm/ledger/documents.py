"""What is kept of somebody who was erased."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, create_model

from crm.database.documents import CrmDocument
from crm.fields import Identifier, Moment

#: Names of one entry: some 4 MB. Who has more (browsers, orders) gets several entries.
MOST_NAMES: Final = 100_000


class Forgotten(CrmDocument):
    """An entry of the ledger. ``_id`` derives from the erasure and the names, so that writing it again changes nothing.

    Attributes:
        erasure_id: Which erasure.
        erased_at: What is older than this must not come back.
        key_id: Of the key that the hashes were made with.
        names: Keyed hashes, in hexadecimal.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^fgt_[0-9A-Za-z]{1,64}$")]
    erasure_id: Identifier
    erased_at: Moment
    key_id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    names: Annotated[list[Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]], Field(min_length=1, max_length=MOST_NAMES)]

    class Settings:
        """Beanie's settings."""

        name = "forgotten"
        keep_nulls = False
        apart = True


_FIELDS: Final[dict[str, Any]] = {name: (field.annotation, field) for name, field in Forgotten.model_fields.items()}
#: The same shape without a database: Beanie makes no document where it has none.
Entry: Final[type[BaseModel]] = create_model("Entry", **_FIELDS)
