"""Wire shapes of privacy requests, and what a connector hands over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from crm.fields import Moment
from crm.web.schemas import WireOut

MOST_ORDERS: Final = 10_000
MOST_CUSTOMERS: Final = 100
PrivacyState = Literal["queued", "ready", "done"]
PrivacyOutcome = Literal["erased", "disclosed", "nobody"]
PrivacyKind = Literal["data_request", "redact_customer", "redact_shop"]


class PrivacyRequestOut(WireOut):
    """What a shop asked on a person's behalf, to be carried out by ``due_at``.

    An erasure is carried out within seconds, and then names nobody any more. What is told about a person is ``ready``
    for an admin to fetch at ``/privacy-requests/{id}/export``.
    """

    id: str
    connection_id: str
    source: str
    kind: PrivacyKind
    request_id: str | None
    external_customer_id: str | None
    email: str | None
    phone: str | None
    orders: list[str]
    state: PrivacyState
    outcome: PrivacyOutcome | None
    customer_ids: list[str]
    received_at: Moment
    due_at: Moment
    done_at: Moment | None


@dataclass(frozen=True, slots=True)
class PrivacyAsk:
    """A privacy request as a connector has read it.

    Attributes:
        delivery_id: Of the delivery that brought it: the same one is queued once.
        connection_id: Which shop asked.
        source: Name under which its orders and customers are stored.
        kind: What is asked.
        received_at: When it arrived.
        request_id: The source's own number of it.
        external_customer_id: Whom it is about, as the source calls them.
        email: Whom it is about.
        phone: Whom it is about.
        orders: External ids of the orders it reaches.
    """

    delivery_id: str
    connection_id: str
    source: str
    kind: PrivacyKind
    received_at: datetime
    request_id: str | None = None
    external_customer_id: str | None = None
    email: str | None = None
    phone: str | None = None
    orders: tuple[str, ...] = ()
