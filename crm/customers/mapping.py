"""Between stored customers and their wire shape. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from crm import contact, money
from crm.customers import keys
from crm.customers.documents import Customer
from crm.customers.schemas import Consent, CurrencyTotalsOut, CustomerOut, StatsOut
from crm.identity import Principal

#: The fields that keys are made of.
KEYED: Final = frozenset({"email", "phone", "first_name", "last_name", "addresses"})


def blank() -> dict[str, Any]:
    """What is stored of a customer of whom nothing is known yet: every list is there, and the totals of no orders."""
    return {
        "version": 1,
        "addresses": [],
        "tags": [],
        "attributes": {},
        "external_ids": [],
        "consents": [],
        "stats": {"orders_count": 0, "totals": [], "revision": 0},
    }


def with_keys(fields: Mapping[str, Any], phone_region: str | None, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with the keys that follow from them and from what is stored; None where a key has nothing to go by.

    Args:
        fields: What is set, and unset by None.
        phone_region: Country of phone numbers without a country code.
        stored: The customer before, with all of ``KEYED`` and the keys; empty for one to be created.
    """
    out = dict(fields)
    if "email" in fields:
        out["email_key"] = contact.email_key(fields["email"]) if fields["email"] else None
        out["email_keys"] = keys.email_keys(out["email_key"], stored)
    if "phone" in fields:
        out["phone_key"] = contact.phone_key(fields["phone"], phone_region) if fields["phone"] else None
    if "last_name" in fields:
        out["last_name_key"] = contact.name_key(fields["last_name"]) if fields["last_name"] else None
    if KEYED & fields.keys():
        after = {**stored, **out}
        out |= {"search_keys": keys.search_keys(after), "match_keys": keys.match_keys(after)}
    return out


def entered(customer_id: str, entry: Mapping[str, Any], by: Principal, at: datetime) -> dict[str, Any]:
    """A customer's consent as the ledger has it.

    Args:
        customer_id: To whom it was given.
        entry: As the customer's document has it.
        by: Who enters it.
        at: When.
    """
    word = {name: value for name, value in entry.items() if name != "key" and value is not None}
    actor = {"id": by.id, "name": by.name, "kind": by.kind}
    return {"_id": entry["key"], "customer_id": customer_id, **word, "recorded_at": at, "recorded_by": actor}


def repeated(row: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the ledger as the customer's document repeats it."""
    return {**{name: row[name] for name in Consent.model_fields if name in row}, "key": row["_id"]}


def merge_attributes(stored: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396 for one level: null removes, anything else sets."""
    return {key: value for key, value in {**stored, **patch}.items() if value is not None}


def shape(customer: Customer) -> CustomerOut:
    """A customer as clients see it."""
    stats = customer.stats
    return CustomerOut(
        id=customer.id,
        version=customer.version,
        email=customer.email,
        phone=customer.phone,
        first_name=customer.first_name,
        last_name=customer.last_name,
        addresses=customer.addresses,
        tags=customer.tags,
        attributes=customer.attributes,
        external_ids=customer.external_ids,
        former_ids=[former.id for former in customer.former or ()],
        consents=[Consent(**entry.model_dump(exclude={"key"})) for entry in customer.consents],
        unverified=customer.unverified or [],
        stats=StatsOut(
            orders_count=stats.orders_count,
            first_order_at=stats.first_order_at,
            last_order_at=stats.last_order_at,
            last_seen_at=stats.last_seen_at,
            totals=[
                CurrencyTotalsOut(
                    currency=t.currency,
                    gross=money.text(t.gross, t.currency),
                    refunded=money.text(t.refunded, t.currency),
                    net=money.text(t.net, t.currency),
                )
                for t in stats.totals
            ],
        ),
        created_at=customer.created_at,
        updated_at=customer.updated_at,
    )
