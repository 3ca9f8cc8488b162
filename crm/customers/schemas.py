"""Wire shapes of customers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import ConfigDict, Field, model_validator

from crm.clock import ALLOWED_SKEW
from crm.fields import (
    AttributeName,
    Attributes,
    AttributeValue,
    Country,
    Currency,
    Email,
    ExternalId,
    Identifier,
    Line,
    LongText,
    Moment,
    PersonName,
    Phone,
    SourceName,
    Tag,
)
from crm.identity import Kind
from crm.web.schemas import Conditional, WireIn, WireOut, example

Channel = Literal["email", "sms", "phone", "post"]
#: Ids of merges, each in turn of the customer that the one before it had made.
MovedBy = Annotated[list[Identifier], Field(min_length=1, max_length=100)]
#: What is hidden from whoever lacks ``pii:read`` and can be revealed.
Revealable = Literal["email", "phone", "addresses"]
REVEALABLE: Final[tuple[Revealable, ...]] = get_args(Revealable)
#: Fields that a browser may claim; until a trusted source says the same they are unverified.
Claimable = Literal["email", "phone", "first_name", "last_name", "external_ids"]


def _one_of_its_fields(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"required": [name]} for name in PostalAddress.model_fields]


class PostalAddress(WireIn):
    """An address as it would stand on a parcel. A value: orders keep their own copy of it."""

    # What the validator below says, for the database.
    model_config = ConfigDict(json_schema_extra=_one_of_its_fields)

    name: Line | None = None
    company: Line | None = None
    line1: Line | None = None
    line2: Line | None = None
    city: Line | None = None
    region: Line | None = None
    postal_code: Annotated[str, Field(min_length=1, max_length=20, pattern=r"^[^\x00]*$")] | None = None
    country: Country | None = None
    phone: Phone | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(getattr(self, name) is None for name in PostalAddress.model_fields):
            raise ValueError("An address has at least one of its fields.")
        return self


class Address(PostalAddress):
    """One of a customer's addresses."""

    kind: Literal["shipping", "billing", "other"] = "shipping"


class ExternalIdentity(WireIn):
    """What another system calls this customer."""

    source: SourceName
    id: ExternalId


class Consent(WireIn):
    """A customer's word on one channel: when, where and in reply to what wording it was given."""

    model_config = example(
        channel="email",
        status="granted",
        at="2026-01-31T12:00:00Z",
        source="checkout",
        wording="Send me offers by e-mail.",
    )

    channel: Channel
    status: Literal["granted", "withdrawn"]
    at: Moment
    source: Line
    wording: LongText | None = None


def in_force(ledger: Sequence[Consent], moment: datetime) -> list[Consent]:
    """The consents that hold: of each channel the word with the latest date, in the order of the channels.

    Of two of the same date the withdrawal holds. What is dated ahead of the moment, as the database's own users can
    write it, does not hold yet.
    """
    present = [consent for consent in ledger if consent.at <= moment + ALLOWED_SKEW]
    last = {word.channel: word for word in sorted(present, key=lambda word: (word.at, word.status == "withdrawn"))}
    return [last[channel] for channel in sorted(last)]


Addresses = Annotated[list[Address], Field(max_length=50)]
Tags = Annotated[list[Tag], Field(max_length=100)]
ExternalIds = Annotated[list[ExternalIdentity], Field(max_length=50)]


class CustomerCreate(WireIn):
    """A new customer; something must tell who it is."""

    model_config = example(
        email="ann@example.com",
        phone="+44 7700 900123",
        first_name="Ann",
        last_name="Example",
        addresses=[
            {"kind": "shipping", "line1": "1 High Street", "city": "Leeds", "postal_code": "LS1 4AP", "country": "GB"}
        ],
        tags=["vip"],
        attributes={"locale": "en-GB"},
        external_ids=[{"source": "shop", "id": "c-17850"}],
    )

    email: Email | None = None
    phone: Phone | None = None
    first_name: PersonName = None
    last_name: PersonName = None
    addresses: Addresses = []
    tags: Tags = []
    attributes: Attributes = {}
    external_ids: ExternalIds = []
    consents: Annotated[list[Consent], Field(max_length=50)] = []

    @model_validator(mode="after")
    def _can_be_known(self) -> Self:
        if not (self.email or self.phone or self.first_name or self.last_name or self.external_ids):
            raise ValueError("A customer needs an email, a phone, a name or an external id.")
        return self


class CustomerUpdate(Conditional):
    """A merge patch (RFC 7396): absent fields stay, null removes, lists are replaced, attributes are merged."""

    model_config = example(version=1, last_name="Sample", phone=None, attributes={"locale": "de-DE"})

    email: Email | None = None
    phone: Phone | None = None
    first_name: PersonName = None
    last_name: PersonName = None
    addresses: Addresses | None = None
    tags: Tags | None = None
    attributes: Annotated[dict[AttributeName, AttributeValue | None], Field(max_length=100)] | None = None
    external_ids: ExternalIds | None = None


class CustomerRef(WireIn):
    """Whom an order or event belongs to: our id, the sender's own id, an e-mail or a phone."""

    id: Identifier | None = None
    external_id: ExternalId | None = None
    email: Email | None = None
    phone: Phone | None = None
    first_name: PersonName = None
    last_name: PersonName = None

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not (self.id or self.external_id or self.email or self.phone):
            raise ValueError("Name the customer by id, external_id, email or phone, or leave customer out.")
        return self


class CurrencyTotalsOut(WireOut):
    """What a customer's orders add up to in one currency."""

    currency: Currency
    gross: str
    refunded: str
    net: str


class StatsOut(WireOut):
    """A projection of the customer's orders and events; never edited."""

    orders_count: int
    first_order_at: Moment | None
    last_order_at: Moment | None
    last_seen_at: Moment | None
    totals: list[CurrencyTotalsOut]


class ChangerOut(WireOut):
    """Who changed it, as they were called then."""

    id: str
    name: str
    kind: Kind


class FieldChangeOut(WireOut):
    """One field before and after; null where it had, or has, no value. An attribute is ``attributes.`` and its name."""

    field: str
    before: Any
    after: Any


class CustomerChangeOut(WireOut):
    """What one edit changed of a customer; ``version`` is the one that it made, ``source`` the system that said so.

    ``customer_id`` is whose record it was then: that of one who was merged into this one since, or the customer's own.
    """

    id: str
    customer_id: str
    version: int
    at: Moment
    by: ChangerOut
    source: str | None
    changes: list[FieldChangeOut]


class CustomerOut(WireOut):
    """A customer.

    What ``unverified`` names came from a browser, and no trusted source has said the same yet. ``former_ids`` are those
    of customers who were merged into this one; they lead here.
    """

    id: str
    version: int
    email: str | None
    phone: str | None
    first_name: str | None
    last_name: str | None
    addresses: list[Address]
    tags: list[str]
    attributes: dict[str, AttributeValue]
    external_ids: list[ExternalIdentity]
    former_ids: list[str]
    consents: list[Consent]
    unverified: list[Claimable]
    stats: StatsOut
    created_at: Moment
    updated_at: Moment


class RevealIn(WireIn):
    """What to see of a customer as it is, and why. The reason is kept with the audit log, for good."""

    model_config = example(fields=["phone"], reason="Ring back about order 1001")

    fields: Annotated[list[Revealable], Field(min_length=1, max_length=len(REVEALABLE))]
    reason: Annotated[str, Field(min_length=3, max_length=200, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]


class RevealedOut(WireOut):
    """What was asked for as it is; null is what was not asked for, or is not there."""

    id: str
    email: str | None
    phone: str | None
    addresses: list[Address] | None
