"""What is stored of a customer."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from crm import contact
from crm.customers import keys
from crm.customers.schemas import Address, Channel, Claimable, Consent, ExternalIdentity, MovedBy
from crm.database.documents import CrmDocument, VersionedDocument
from crm.database.ids import StoredSum
from crm.fields import (
    Attributes,
    Currency,
    Identifier,
    JsonValue,
    Line,
    LongText,
    Moment,
    Phone,
    SourceName,
    Tag,
    Version,
)
from crm.identity import Kind

#: One customer can have gone by many names; beyond these a new one is not noted.
MOST_EXTERNAL_IDS: Final = 100
#: Customers who can have been merged into one.
MOST_FORMER: Final = 1000
CustomerId = Annotated[str, Field(pattern=r"^cus_[0-9A-Za-z]{1,64}$")]
#: All consents at once, a hundred attributes in place of a hundred others, and the other fields.
MOST_FIELD_CHANGES: Final = 1_300
EmailKey = Annotated[str, Field(max_length=contact.LONGEST_EMAIL, pattern=contact.EMAIL_KEY_PATTERN)]
Key = Annotated[str, Field(min_length=1, max_length=keys.LONGEST_KEY)]


class CurrencyTotals(BaseModel):
    """Sums over the customer's orders in one currency.

    Attributes:
        currency: ISO 4217.
        gross: Sum of the totals of all orders that were not cancelled.
        refunded: What was given back of it.
        net: gross − refunded.
    """

    currency: Currency
    gross: StoredSum
    refunded: StoredSum
    net: StoredSum


class Stats(BaseModel):
    """A projection, recomputed from orders and events.

    Attributes:
        orders_count: Orders that were not cancelled.
        first_order_at: Date of the first of them.
        last_order_at: Date of the last.
        last_seen_at: Latest browsing event.
        totals: One entry for each currency.
        revision: Counts the recomputations, so that an older result never replaces a newer one.
    """

    orders_count: Annotated[int, Field(ge=0, le=2**53)] = 0
    first_order_at: Moment | None = None
    last_order_at: Moment | None = None
    last_seen_at: Moment | None = None
    totals: Annotated[list[CurrencyTotals], Field(max_length=200)] = []
    revision: Annotated[int, Field(ge=0, le=2**53)] = 0


class LedgerEntry(Consent):
    """A consent as the customer's document repeats it from the ledger (``ConsentEntry``), for those who read it.

    Attributes:
        key: The id of the ledger's entry; not shown. By it, not by its content, the same request run twice is
            recognised: to grant twice is two entries. What the first release wrote had none (change 0003).
    """

    key: Identifier | None = None


class Former(BaseModel):
    """A customer who was merged into this one.

    Attributes:
        id: The id of before; it leads here.
        by: The merges that led from there to here, the latest last.
    """

    id: CustomerId
    by: MovedBy


class Changer(BaseModel):
    """Who changed something, as they were called then."""

    id: Line
    name: Line
    kind: Kind


class FieldChange(BaseModel):
    """One field before and after; a side without a value is left out.

    Attributes:
        field: Its name; of an attribute ``attributes.`` and its own.
    """

    field: Annotated[str, Field(pattern=r"^[a-z_]{1,32}(\.[A-Za-z0-9_-]{1,64})?$")]
    before: JsonValue | None = None
    after: JsonValue | None = None


class Change(BaseModel):
    """What one edit changed.

    Attributes:
        version: Of the customer, that it made.
        source: The system that said so, where one did.
    """

    version: Version
    at: Moment
    by: Changer
    source: SourceName | None = None
    changes: Annotated[list[FieldChange], Field(min_length=1, max_length=MOST_FIELD_CHANGES)]


class Customer(VersionedDocument):
    """A customer.

    Attributes:
        email: As typed.
        email_key: The one spelling under which it is unique (``crm.contact.email_key``).
        email_keys: That key, then those of customers who were merged into this one: all are this customer's alone.
        phone: As typed.
        phone_key: E.164, where it can be told.
        last_name_key: Last name without accents and case, for the list by last name.
        search_keys: What the search finds it by (``keys.py``).
        match_keys: What another record of the same person would share with it (``keys.py``).
        external_ids: What other systems call this customer; each (source, id) belongs to one customer.
        former: Those who were merged into this one, the latest last.
        unverified: The fields that a browser claimed and nobody confirmed (``claims.py``).
        last_change: The latest edit; those before are ``CustomerChange`` (``history.py``).
    """

    id: Annotated[CustomerId, Field(alias="_id")]  # type: ignore[assignment]  # text, as CrmDocument has it; Beanie says ObjectId
    email: Annotated[str, Field(min_length=3, max_length=254)] | None = None
    email_key: EmailKey | None = None
    email_keys: Annotated[list[EmailKey], Field(min_length=1, max_length=keys.MOST_EMAIL_KEYS)] | None = None
    phone: Phone | None = None
    phone_key: Annotated[str, Field(pattern=r"^\+[0-9]{4,15}$")] | None = None
    first_name: Line | None = None
    last_name: Line | None = None
    last_name_key: Annotated[str, Field(max_length=contact.LONGEST_NAME_KEY)] | None = None
    search_keys: Annotated[list[Key], Field(min_length=1, max_length=keys.MOST_SEARCH_KEYS)] | None = None
    match_keys: Annotated[list[Key], Field(min_length=1, max_length=keys.MOST_MATCH_KEYS)] | None = None
    addresses: Annotated[list[Address], Field(max_length=100)] = []
    tags: Annotated[list[Tag], Field(max_length=100)] = []
    attributes: Attributes = {}
    external_ids: Annotated[list[ExternalIdentity], Field(max_length=MOST_EXTERNAL_IDS)] = []
    consents: Annotated[list[LedgerEntry], Field(max_length=1000)] = []
    former: Annotated[list[Former], Field(min_length=1, max_length=MOST_FORMER)] | None = None
    unverified: Annotated[list[Claimable], Field(max_length=5)] | None = None
    stats: Stats = Stats()
    last_change: Change | None = None

    class Settings:
        """Beanie's settings."""

        name = "customers"
        keep_nulls = False


class CustomerChange(CrmDocument):
    """An edit of a customer who was edited again since."""

    id: Annotated[str, Field(alias="_id", pattern=r"^chg_[A-Z2-7]{26}$")]
    customer_id: Identifier
    version: Version
    at: Moment
    by: Changer
    source: SourceName | None = None
    changes: Annotated[list[FieldChange], Field(min_length=1, max_length=MOST_FIELD_CHANGES)]

    class Settings:
        """Beanie's settings."""

        name = "customer_changes"
        keep_nulls = False


class ConsentEntry(CrmDocument):
    """A consent in the ledger: written once, together with the customer's, and never changed.

    Attributes:
        id: The ``key`` of the consent in the customer's document.
        customer_id: To whom it was given; the id stays when that customer is merged into another.
        recorded_at: When it was entered; of what was there before there was this ledger, when it was taken over.
        recorded_by: Who entered it, as they were called then.
    """

    id: Annotated[Identifier, Field(alias="_id")]
    customer_id: CustomerId
    channel: Channel
    status: Literal["granted", "withdrawn"]
    at: Moment
    source: Line
    wording: LongText | None = None
    recorded_at: Moment
    recorded_by: Changer

    class Settings:
        """Beanie's settings."""

        name = "consents"
        keep_nulls = False
