"""What is stored of a request with an Idempotency-Key."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crm.database.documents import CrmDocument
from crm.fields import Identifier, Moment

#: Characters of an answer's body; a longer one is not kept.
LARGEST_BODY = 2**20
State = Literal["running", "answered", "free"]
HeaderValue = Annotated[str, Field(max_length=2000)]


class KeyedRequest(CrmDocument):
    """A request with an Idempotency-Key; ``_id`` is a hash of principal, method, path and key.

    Attributes:
        fingerprint: Hash of the request's content; of a free key, that of the last one that was refused.
        state: ``running`` until it is answered; ``free`` when it was refused, so that nothing was created.
        lease: Names the run that may write here; each run draws a new one.
        leased_until: From then on, the same request again may take over: the run is taken for dead.
        recorded_at: When it was last begun or answered, by the API's clock; the TTL runs from it.
        status: Of the answer.
        body: Of the answer, to the letter.
        customer_id: Whom the answer speaks of; it goes when the customer does.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^idk_[2-7A-Z]{26}$")]
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    state: State
    lease: Identifier
    leased_until: Moment
    recorded_at: Moment
    status: Annotated[int, Field(ge=200, le=299)] | None = None
    content_type: HeaderValue | None = None
    etag: HeaderValue | None = None
    location: HeaderValue | None = None
    body: Annotated[str, Field(max_length=LARGEST_BODY)] | None = None
    customer_id: Identifier | None = None

    class Settings:
        """Beanie's settings."""

        name = "idempotency_keys"
        keep_nulls = False
