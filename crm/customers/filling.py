"""Customers of another system's list: who is not known is created, of the others what is lacking is filled in."""

from __future__ import annotations

from typing import Any, Final, Literal

from crm import contact
from crm.clock import now
from crm.customers import queries, service
from crm.customers.documents import Customer
from crm.customers.mapping import with_keys
from crm.customers.schemas import CustomerCreate
from crm.database.query import Query
from crm.errors import AlreadyExists, FieldError, InvalidInput, Unavailable
from crm.identity import Principal

#: Each round loses only to somebody who made progress.
_ROUNDS: Final = 8
_POINTERS: Final = {"one_customer_per_email": "/email", "one_customer_per_external_id": "/external_ids"}
_NO_NAME: Final = (
    "Among many, a customer needs an external id or an e-mail: without one, sending the line again would make another."
)


async def create_or_fill_in(
    principal: Principal, new: CustomerCreate, *, phone_region: str | None = None
) -> tuple[str, Literal["created", "updated", "unchanged"]]:
    """Store a customer so that doing it again changes nothing.

    Found by any of the external ids, then by e-mail. What is known already stays; tags, attributes and external ids
    that it lacks are added, addresses where it has none, consents for channels of which nothing is on record.

    Returns:
        The customer's id, and what happened.

    Raises:
        InvalidInput: It has neither an external id nor an e-mail.
        AlreadyExists: The e-mail or an external id belongs to another customer: a duplicate for staff to look at.
        Unavailable: Too many change the same customer at once.
    """
    if not new.external_ids and new.email is None:
        raise InvalidInput.at("", _NO_NAME)
    for _ in range(_ROUNDS):
        found = await _find(new)
        if found is None:
            try:
                return (await service.create(principal, new, phone_region=phone_region)).id, "created"
            except AlreadyExists:
                continue  # somebody else created it a moment ago
        fields = lacking(found, new)
        if not fields:
            return found.id, "unchanged"
        update = queries.changed(with_keys(fields, phone_region), now())
        try:
            if await Customer.change(queries.at_version(found.id, found.version), update) is not None:
                return found.id, "updated"
        except AlreadyExists as exc:
            wrong = FieldError(_POINTERS.get(exc.index, ""), "Another customer has this already.")
            raise AlreadyExists("Another customer has this already.", index=exc.index, errors=(wrong,)) from exc
    raise Unavailable("Too many senders change this customer at once; try again.", retry_after=1)


def lacking(found: Customer, new: CustomerCreate) -> dict[str, Any]:
    """The fields that a stored customer would have to change to hold all that is new in a line. Pure."""
    fields: dict[str, Any] = {}
    for name in ("email", "phone", "first_name", "last_name"):
        if getattr(found, name) is None and getattr(new, name) is not None:
            fields[name] = getattr(new, name)
    if new.addresses and not found.addresses:
        fields["addresses"] = [address.model_dump() for address in new.addresses]
    if tags := [tag for tag in dict.fromkeys(new.tags) if tag not in found.tags]:
        fields["tags"] = [*found.tags, *tags]
    if attributes := {key: value for key, value in new.attributes.items() if key not in found.attributes}:
        fields["attributes"] = {**found.attributes, **attributes}
    if ids := [external for external in new.external_ids if external not in found.external_ids]:
        fields["external_ids"] = [e.model_dump() for e in (*found.external_ids, *ids)]
    recorded = {consent.channel for consent in found.consents}
    if consents := [consent for consent in new.consents if consent.channel not in recorded]:
        fields["consents"] = [c.model_dump() for c in (*found.consents, *consents)]
    return fields


async def _find(new: CustomerCreate) -> Customer | None:
    for external in new.external_ids:
        found = await Customer.fetch(Query(queries.external_filter(external.source, external.id), limit=1))
        if found is not None:
            return found
    if new.email is None:
        return None
    return await Customer.fetch(Query(queries.email_filter(contact.email_key(new.email)), limit=1))
