"""What is stored of connections and their secrets."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from crm.connections.schemas import MOST_SECRETS, ConnectionName, Kind, Secret
from crm.database.documents import CrmDocument, VersionedDocument
from crm.fields import Currency, Identifier, Line, Moment, SourceName


class Connection(VersionedDocument):
    """A shop that may deliver webhooks.

    Attributes:
        name: In the webhook's URL.
        source: Name under which its orders and customers are stored.
        shop: Its address, compared with what a delivery says of itself.
        currency: Of its prices, which product webhooks do not name.
        disabled_at: Since when only privacy requests are taken.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^con_[0-9A-Za-z]{1,64}$")]  # type: ignore[assignment]  # text, as CrmDocument has it; Beanie says ObjectId
    kind: Kind
    name: ConnectionName
    source: SourceName
    shop: Line | None = None
    currency: Currency | None = None
    disabled_at: Moment | None = None

    class Settings:
        """Beanie's settings."""

        name = "connections"
        keep_nulls = False


class LiveSecret(BaseModel):
    """A secret that is accepted.

    Attributes:
        secret: Readable: an HMAC cannot be checked with a hash of its key (ADR 0018).
        hint: Its last characters, to tell secrets apart.
    """

    id: Identifier
    secret: Secret
    hint: Annotated[str, Field(pattern=r"^[ -~]{3}[!-~]$")]
    created_at: Moment


class ConnectionSecrets(CrmDocument):
    """A connection's secrets, in a collection of their own: who may read connections may not read these."""

    id: Annotated[str, Field(alias="_id", pattern=r"^con_[0-9A-Za-z]{1,64}$")]
    secrets: Annotated[list[LiveSecret], Field(min_length=1, max_length=MOST_SECRETS)]

    class Settings:
        """Beanie's settings."""

        name = "connection_secrets"
        keep_nulls = False
