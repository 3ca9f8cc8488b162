"""What is stored of an identity."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from crm.database.documents import CrmDocument
from crm.fields import AttributeName, AttributeValue, Identifier, Moment, SourceName

MOST_LINKS: Final = 100
MOST_TRAITS: Final = 50

Kind = Literal["user", "visitor", "email"]
Via = Literal["alias", "identify", "track"]


class Link(BaseModel):
    """That somebody said: this is the same person as that.

    Attributes:
        to: Another identity, or a customer.
        at: The earliest time at which it was said.
        via: In what kind of message.
    """

    to: Identifier
    at: Moment
    via: Via


class Trait(BaseModel):
    """The latest that was said about somebody under one name.

    Attributes:
        name: Of a field of customers, or the shop's own.
        value: One scalar.
        at: When it was said.
        message: Stands for the message and the value: of two that were said at one time, the greater holds.
    """

    name: AttributeName
    value: AttributeValue
    at: Moment
    message: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Identity(CrmDocument):
    """A name that somebody goes by: a user id, a browser or an e-mail address. ``_id`` derives from it (``names.py``).

    Nothing depends on the order in which messages arrive: links are the earliest, traits the latest by event time.

    Attributes:
        kind: What the name is.
        source: Whose user or visitor; addresses are everybody's.
        value: The name as sent, an address by its key.
        links: The earliest first; at most 100.
        first: Where the first link leads: whose it is.
        linked_at: When the first link was made.
        traits: By name; those of a customer's own fields stand first.
        erased_at: Its customer was erased then: nothing else is kept, and nothing is taken up again.
        created_at: When it was first seen.
    """

    id: Annotated[str, Field(alias="_id", pattern=r"^idn_[0-9A-Z]{26}$")]
    kind: Kind
    source: SourceName | None = None
    value: Annotated[str, Field(min_length=1, max_length=254, pattern=r"^[^\x00]*$")] | None = None
    links: Annotated[list[Link], Field(max_length=MOST_LINKS)] = []
    first: Identifier | None = None
    linked_at: Moment | None = None
    traits: Annotated[list[Trait], Field(max_length=MOST_TRAITS)] = []
    erased_at: Moment | None = None
    created_at: Moment

    class Settings:
        """Beanie's settings."""

        name = "identities"
        keep_nulls = False
