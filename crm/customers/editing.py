"""Customers created and changed by hand, or by a system that means just this one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import ALLOWED_SKEW, now
from crm.custom_fields import service as custom_fields
from crm.customers import address_rules, claims, consents, following, queries, recording
from crm.customers.documents import Customer
from crm.customers.forgetting import refuse_erased
from crm.customers.history import noted
from crm.customers.mapping import merge_attributes, shape, with_keys
from crm.customers.schemas import Consent, CustomerCreate, CustomerOut, CustomerUpdate
from crm.database.collection import Row
from crm.database.ids import new_id
from crm.errors import AlreadyExists, FieldError, InvalidInput, StaleVersion, Unavailable
from crm.identity import Principal
from crm.masking import restored, shown

#: Which field a unique index speaks of.
_POINTERS: Final = {"one_customer_per_email_key": "/email", "one_customer_per_external_id": "/external_ids"}
#: Each round loses only to somebody who made progress.
_ROUNDS: Final = 20
_NOT_YET: Final = "A consent cannot be given in the future."


async def create(
    principal: Principal, new: CustomerCreate, *, phone_region: str | None = None, customer_id: str | None = None
) -> CustomerOut:
    """Store a new customer.

    Args:
        principal: Who creates.
        new: The customer.
        phone_region: Country of phone numbers without a country code.
        customer_id: The id to be; a customer who has it already was created by an earlier run of the same request.

    Raises:
        AlreadyExists: The e-mail or an external id belongs to somebody already.
        Erased: A system sends somebody who was erased. Staff may take them in again: they speak with them now.
        InvalidInput: An attribute is not what its custom field holds, a consent is dated ahead, or staff leave out what
            is required, of the attributes or in an address's country.
    """
    refuse_consents_ahead(new.consents)
    if principal.kind == "key":
        await refuse_erased(new, phone_region)
    customer_id = customer_id or new_id("cus")
    restored(principal, new.model_dump(), {})
    if _by_hand(principal):
        _check_addresses([address.model_dump() for address in new.addresses])
    (await custom_fields.present()).check(new.attributes, whole=new.attributes if _by_hand(principal) else None)
    async with audit.around(principal, Action.CUSTOMER_CREATE, customer_id):
        return shown(principal, shape(await insert(principal, new, phone_region, customer_id)))


async def update(
    principal: Principal, customer_id: str, change: CustomerUpdate, version: int, *, phone_region: str | None = None
) -> CustomerOut:
    """Change what the patch names.

    Raises:
        NotFound: There is none of that id.
        StaleVersion: Somebody changed it since that version.
        AlreadyExists: The e-mail or an external id belongs to somebody else.
        InvalidInput: An attribute is not what its custom field holds, or staff leave out what is required, of the
            attributes or in a new address's country.
    """
    present = await whole(customer_id)
    fields = change.model_dump(include=change.model_fields_set - {"version"})
    fields = restored(principal, fields, present.model_dump())
    for name in ("addresses", "tags", "external_ids"):
        if name in fields and fields[name] is None:
            fields[name] = []
    if _by_hand(principal):
        _check_addresses(fields.get("addresses", ()), present.model_dump()["addresses"])
    if "attributes" in fields:
        patch = fields["attributes"]
        merged = {} if patch is None else merge_attributes(present.attributes, patch)
        (await custom_fields.present()).check(patch or {}, whole=merged if _by_hand(principal) else None)
        fields["attributes"] = merged
    named = {"fields": ", ".join(sorted(fields)), "version": version}
    fields = with_keys(fields, phone_region, present.as_stored())
    async with audit.around(principal, Action.CUSTOMER_UPDATE, customer_id, named):
        found = None
        if present.version == version:
            found = await _edited(principal, present.as_stored(), fields)
        if found is None:
            await whole(customer_id)
            raise StaleVersion("Somebody has changed this customer since; read it again.")
    return shown(principal, shape(found))


def _by_hand(principal: Principal) -> bool:
    """Whether a person acts, who can be asked for what is lacking; what machines push matters more than its form."""
    return principal.kind == "user"


def _check_addresses(new: Iterable[Mapping[str, Any]], known: Iterable[Mapping[str, Any]] = ()) -> None:
    if wrong := address_rules.broken(new, known):
        raise InvalidInput("An address is not one of its country.", errors=wrong)


def refuse_consents_ahead(given: Iterable[Consent]) -> None:
    """Take no consent of the future: what is said later would not count before then."""
    ahead = [place for place, consent in enumerate(given) if _is_ahead(consent)]
    if ahead:
        raise InvalidInput(_NOT_YET, errors=tuple(FieldError(f"/consents/{place}/at", _NOT_YET) for place in ahead))


def _is_ahead(consent: Consent) -> bool:
    return consent.at > now() + ALLOWED_SKEW


async def _edited(principal: Principal, row: Row, fields: Mapping[str, Any]) -> Customer | None:
    """Change a stored customer; None where somebody has since."""
    moment = now()
    await recording.keep([row])
    told = {**fields, "unverified": claims.left(row, fields)}
    update_ = queries.edited({**fields, **noted(told, row, principal, moment)}, moment)
    try:
        return await Customer.change(queries.at_version(row["_id"], row["version"]), update_)
    except AlreadyExists as exc:
        raise taken(exc) from exc


async def add_consent(
    principal: Principal, customer_id: str, consent: Consent, *, key: str | None = None
) -> CustomerOut:
    """Add a customer's word to the ledger of consents.

    Args:
        principal: Who adds it.
        customer_id: Whose word it is.
        consent: The word.
        key: Of the entry to be; where the ledger has one with it, an earlier run of the same request added it.

    Raises:
        NotFound: There is none of that id.
        InvalidInput: It is dated ahead.
    """
    present = await whole(customer_id)
    if _is_ahead(consent):
        raise InvalidInput.at("/at", _NOT_YET)
    entry = {**consent.model_dump(), "key": key or new_id("con")}
    given = {"channel": consent.channel, "status": consent.status}
    async with audit.around(principal, Action.CUSTOMER_CONSENT, customer_id, given):
        for _ in range(_ROUNDS):
            if any(other.key == entry["key"] for other in present.consents):
                return shown(principal, shape(present))
            found = await _with_consent(principal, present.as_stored(), entry)
            if found is not None:
                return shown(principal, shape(found))
            present = await whole(customer_id)
        raise Unavailable("Too many change this customer at once; try again.", retry_after=1)


async def _with_consent(principal: Principal, row: Row, entry: Mapping[str, Any]) -> Customer | None:
    """Add a consent; None where somebody has changed the customer since."""
    moment = now()
    await recording.keep([row])
    fields = noted({"consents": [*row.get("consents", ()), entry]}, row, principal, moment)
    update = queries.consent_given(entry, fields, moment)
    return await consents.give(principal, row, update, [entry])


async def insert(
    principal: Principal, new: CustomerCreate, phone_region: str | None, customer_id: str | None = None
) -> Customer:
    """Store a new customer, for this feature's own ways to do so.

    Raises:
        AlreadyExists: The e-mail or an external id belongs to somebody already.
    """
    moment = now()
    fields = with_keys(new.model_dump(), phone_region, {})
    fields["consents"] = consents.keyed(fields["consents"])
    row = {"_id": customer_id or new_id("cus"), **fields, "created_at": moment, "updated_at": moment}
    try:
        customer = Customer.from_row(row)
        return await customer.add_once(partial(consents.add, principal, customer) if customer.consents else None)
    except AlreadyExists as exc:
        raise taken(exc) from exc


async def whole(customer_id: str) -> Customer:
    """A customer as stored.

    Raises:
        NotFound: There is none of that id.
    """
    found = await Customer.fetch(queries.by_id(customer_id))
    if found is None:
        raise await following.missing(customer_id)
    return found


def taken(exc: AlreadyExists) -> AlreadyExists:
    """A unique index's refusal, with the field that it speaks of."""
    pointer = _POINTERS.get(exc.index, "")
    detail = "Another customer has this already."
    return AlreadyExists(detail, index=exc.index, errors=(FieldError(pointer, detail),))
