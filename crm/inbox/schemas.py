"""Wire shapes of deliveries, and what the connectors and the inbox hand each other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import StringConstraints

from crm.connections.schemas import Shop
from crm.fields import Identifier, Moment
from crm.web.schemas import WireIn, WireOut, example

#: MongoDB stores documents of 16 MiB; the rest of a delivery needs little.
LARGEST_BODY: Final = 15 * 1024 * 1024
State = Literal["waiting", "working", "done", "dead"]
Outcome = Literal["applied", "ignored", "superseded"]
Topic = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
Note = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is left to do.

    Attributes:
        counts: Deliveries by state, those that are done left out.
        due_since: When the one that has waited longest was to be carried out; None where none is due.
    """

    counts: dict[str, int]
    due_since: datetime | None


class DeliveryOut(WireOut):
    """A delivery: what arrived, and what became of it. ``reason`` and ``detail`` say why it is dead."""

    id: str
    connection_id: str
    topic: str
    resource: str | None
    source_version: Moment | None
    webhook_id: str | None
    event_id: str | None
    api_version: str | None
    triggered_at: Moment | None
    received_at: Moment
    state: State
    outcome: Outcome | None
    attempts: int
    due_at: Moment | None
    reason: str | None
    detail: str | None
    expires_at: Moment | None


class DeliveryFull(DeliveryOut):
    """A delivery with its body; base64 where that is no UTF-8."""

    body: str
    body_encoding: Literal["utf-8", "base64"]


class Replay(WireIn):
    """Whose dead deliveries to carry out again."""

    model_config = example(connection_id="con_01JD3ZK5T2M8Q4V6X7Y9ABCDEF")

    connection_id: Identifier


class ReplayOut(WireOut):
    """How many wait again."""

    replayed: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery as a connector has read it off its headers and body.

    Attributes:
        topic: What the source says happened.
        body: To the byte.
        key: Parts that are the same in each repetition of this delivery, and in no other.
        resource: What it is about, such as ``order/1001``; None where order and repetition do not matter.
        version: The source's own date of that state of the resource.
        overrides: Carried out whatever was carried out before: deletions have no date of the source's own.
        webhook_id: As the source names the delivery.
        event_id: As the source names the event behind it.
        api_version: Version of the source's format.
        triggered_at: When the source sent it first.
    """

    topic: str
    body: bytes
    key: tuple[str, ...]
    resource: str | None = None
    version: datetime | None = None
    overrides: bool = False
    webhook_id: str | None = None
    event_id: str | None = None
    api_version: str | None = None
    triggered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed delivery.

    Attributes:
        id: The delivery's.
        attempt: 1 for the first; with ``id`` it proves that the claim is still ours.
        shop: Whose it is.
        topic: What the source says happened.
        body: To the byte.
        resource: What it is about.
        version: The source's own date of that state.
        overrides: As in ``Arrival``.
        triggered_at: When the source sent it first.
        received_at: When it arrived.
    """

    id: str
    attempt: int
    shop: Shop
    topic: str
    body: bytes
    resource: str | None
    version: datetime | None
    overrides: bool
    triggered_at: datetime | None
    received_at: datetime
