"""How somebody names a customer, and the keys by which that one is looked up. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from crm import contact
from crm.customers.schemas import CustomerRef
from crm.identity import Principal
from crm.person import Person

External = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Naming:
    """Whom somebody means.

    Attributes:
        source: The sending system, whose ids external ids are.
        ref: How it names the customer.
        by: Who says so, for the history.
        addresses: What it knows of where the customer lives: fields of ``customers.schemas.Address``.
        at: When what names the customer happened: somebody who was erased later is not found, completed or created.
            None where nothing says so: then somebody who was erased is not created.
        nameless_id: Id of a new customer of whom nothing unique is known (a telephone at most), the same whenever this
            is asked again; None is a new one each time.
    """

    source: str
    ref: CustomerRef
    by: Principal = field(kw_only=True)
    addresses: tuple[Mapping[str, Any], ...] = ()
    nameless_id: str | None = None
    at: datetime | None = None


@dataclass(slots=True)
class Wanted:
    """A naming with its keys."""

    naming: Naming
    external: External | None
    email_key: str | None
    phone_key: str | None

    def person(self) -> Person:
        """The names, as the erasure ledger knows them."""
        phone = self.phone_key or contact.phone_name(self.naming.ref.phone or "")
        return Person(
            customers=frozenset([self.naming.ref.id] if self.naming.ref.id else ()),
            users=frozenset([self.external] if self.external else ()),
            emails=frozenset([self.email_key] if self.email_key else ()),
            phones=frozenset([phone] if phone else ()),
        )

    @property
    def nameless_id(self) -> str | None:
        """The naming's, where nothing unique is known."""
        return None if self.external or self.email_key else self.naming.nameless_id


def wanted_of(naming: Naming, phone_region: str | None) -> Wanted:
    """A naming with its keys."""
    ref = naming.ref
    return Wanted(
        naming,
        (naming.source, ref.external_id) if ref.external_id else None,
        contact.email_key(ref.email) if ref.email else None,
        contact.phone_key(ref.phone, phone_region) if ref.phone else None,
    )
