"""Customers of another system's list: who is not known is created, of the others what is lacking is filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from crm import contact
from crm.clock import now
from crm.custom_fields import service as custom_fields
from crm.customers import claims, consents, editing, keys, queries, recording
from crm.customers.documents import Customer
from crm.customers.forgetting import refuse_erased
from crm.customers.history import noted
from crm.customers.mapping import with_keys
from crm.customers.schemas import Claimable, CustomerCreate
from crm.database.collection import Row
from crm.database.query import Filter, Query
from crm.errors import AlreadyExists, FieldError, InvalidInput, Unavailable
from crm.identity import Principal

#: Each round loses only to somebody who made progress.
_ROUNDS: Final = 8
_POINTERS: Final = {"one_customer_per_email_key": "/email", "one_customer_per_external_id": "/external_ids"}
_NO_NAME: Final = (
    "Among many, a customer needs an external id or an e-mail: without one, sending the line again would make another."
)


async def create_or_fill_in(
    principal: Principal, new: CustomerCreate, *, phone_region: str | None = None
) -> tuple[str, Literal["created", "updated", "unchanged"]]:
    """Store a customer so that doing it again changes nothing.

    Found by any of the external ids, then by e-mail. What is known already stays, unless it was only claimed; tags,
    attributes and external ids that it lacks are added, addresses where it has none, consents for channels of which
    nothing is on record.

    Returns:
        The customer's id, and what happened.

    Raises:
        InvalidInput: It has neither an external id nor an e-mail, a consent is dated ahead, or an attribute is not what
            its custom field holds.
        Erased: It is somebody who was erased; a list that is imported does not say how old it is.
        AlreadyExists: The e-mail or an external id belongs to another customer: a duplicate for staff to look at.
        Unavailable: Too many change the same customer at once.
    """
    if not new.external_ids and new.email is None:
        raise InvalidInput.at("", _NO_NAME)
    editing.refuse_consents_ahead(new.consents)
    (await custom_fields.present()).check(new.attributes)
    for _ in range(_ROUNDS):
        found = await _find(principal, new, phone_region)
        if found is None:
            await refuse_erased(new, phone_region)
            try:
                return (await editing.insert(principal, new, phone_region)).id, "created"
            except AlreadyExists:
                continue  # somebody else created it a moment ago
        fields = lacking(found, new)
        if not fields:
            return found.id, "unchanged"
        try:
            if await _changed(principal, found.as_stored(), fields, phone_region):
                return found.id, "updated"
        except AlreadyExists as exc:
            wrong = FieldError(_POINTERS.get(exc.index, ""), "Another customer has this already.")
            raise AlreadyExists("Another customer has this already.", index=exc.index, errors=(wrong,)) from exc
    raise Unavailable("Too many senders change this customer at once; try again.", retry_after=1)


def lacking(found: Customer, new: CustomerCreate) -> dict[str, Any]:
    """The fields that a stored customer would have to change to hold all that is new in a line. Pure."""
    fields: dict[str, Any] = {}
    unverified = found.unverified or []
    confirmed: dict[str, Any] = {}
    for name in ("email", "phone", "first_name", "last_name"):
        value, known = getattr(new, name), getattr(found, name)
        if value is not None and (known is None or name in unverified):
            confirmed[name] = value
            fields |= {name: value} if value != known else {}
    if new.addresses and not found.addresses:
        fields["addresses"] = [address.model_dump() for address in new.addresses]
    if tags := [tag for tag in dict.fromkeys(new.tags) if tag not in found.tags]:
        fields["tags"] = [*found.tags, *tags]
    if attributes := {key: value for key, value in new.attributes.items() if key not in found.attributes}:
        fields["attributes"] = {**found.attributes, **attributes}
    claimed = found.external_ids if "external_ids" in unverified else []
    own = [external for external in found.external_ids if external not in claimed or external in new.external_ids]
    if claimed and own:
        confirmed["external_ids"] = own
    ids = [*own, *(external for external in new.external_ids if external not in own)]
    if ids != found.external_ids:
        fields["external_ids"] = [external.model_dump() for external in ids]
    recorded = {consent.channel for consent in found.consents}
    if given := [consent for consent in new.consents if consent.channel not in recorded]:
        fields["consents"] = [c.model_dump() for c in (*found.consents, *given)]
    if unverified and (left := claims.left(found.as_stored(), fields | confirmed)) != unverified:
        fields["unverified"] = left or None
    return fields


async def _changed(principal: Principal, row: Row, fields: Mapping[str, Any], phone_region: str | None) -> bool:
    """Change a stored customer, unless somebody has since."""
    moment = now()
    await recording.keep([row])
    all_fields = with_keys(fields, phone_region, row) | noted(fields, row, principal, moment)
    if "consents" not in fields:
        update = queries.changed(all_fields, moment)
        return await Customer.change(queries.at_version(row["_id"], row["version"]), update) is not None
    known = row.get("consents") or []
    given = consents.keyed(fields["consents"][len(known) :])
    update = queries.changed({**all_fields, "consents": [*known, *given]}, moment)
    return await consents.give(principal, row, update, given) is not None


async def _find(principal: Principal, new: CustomerCreate, phone_region: str | None) -> Customer | None:
    found: Customer | None = None
    for external in new.external_ids:
        filter_ = queries.external_filter(external.source, external.id)
        found = await _meant(principal, filter_, "external_ids", phone_region)
        if found is not None:
            break
    if new.email is None or (found is not None and found.email and "email" not in (found.unverified or ())):
        return found
    key = contact.email_key(new.email)
    return await _meant(principal, queries.email_filter(key), "email", phone_region, found=found, email_key=key)


async def _meant(
    principal: Principal,
    filter_: Filter,
    name: Claimable,
    phone_region: str | None,
    *,
    found: Customer | None = None,
    email_key: str | None = None,
) -> Customer | None:
    """Who is found by a field, unless another is found already; who only claims it has it taken away."""
    holder = await Customer.fetch(Query(filter_, limit=1))
    if holder is None or (found is not None and holder.id == found.id):
        return found
    row = holder.as_stored()
    if found is None and (claims.leads(row, name) or keys.is_former(row, email_key)):
        return holder
    if name in claims.claimed(row) and claims.known_without(row, name) and not keys.is_former(row, email_key):
        without: dict[str, Any] = {name: [] if name == "external_ids" else None}
        await _changed(principal, row, {**without, "unverified": claims.left(row, without) or None}, phone_region)
    return found
