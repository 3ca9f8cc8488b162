"""What can be done with customers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crm import contact
from crm.clock import now
from crm.customers import queries
from crm.customers.documents import Customer
from crm.customers.mapping import merge_attributes, shape, with_keys
from crm.customers.schemas import Consent, CustomerCreate, CustomerOut, CustomerRef, CustomerUpdate
from crm.database.ids import new_id
from crm.database.paging import Page, PageRequest
from crm.database.query import Filter
from crm.errors import (
    AlreadyExists,
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    RuleViolated,
    StaleVersion,
    Unavailable,
)
from crm.identity import Principal, Role

#: Which field a unique index speaks of.
_POINTERS: Final = {"one_customer_per_email": "/email", "one_customer_per_external_id": "/external_ids"}
#: Each round loses only to somebody who made progress, so a few are enough.
_ROUNDS: Final = 8


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
    """
    del principal  # the audit log will want it
    return shape(await _insert(new, phone_region, customer_id))


async def get(principal: Principal, customer_id: str) -> CustomerOut:
    """One customer.

    Raises:
        NotFound: There is none of that id.
    """
    del principal
    found = await Customer.fetch(queries.by_id(customer_id))
    if found is None:
        raise NotFound("There is no such customer.")
    return shape(found)


async def require(customer_id: str) -> None:
    """Make sure that a customer exists.

    Raises:
        NotFound: There is none of that id.
    """
    if await Customer.stored().find_one(queries.by_ids([customer_id])) is None:
        raise NotFound("There is no such customer.")


async def existing(customer_ids: list[str]) -> set[str]:
    """Which of these ids are customers."""
    return {row["_id"] for row in await Customer.stored().find(queries.by_ids(customer_ids))} if customer_ids else set()


async def page(
    principal: Principal, filters: Mapping[str, str | None], request: PageRequest, *, phone_region: str | None = None
) -> Page[CustomerOut]:
    """One page of customers.

    Args:
        principal: Who asks.
        filters: ``email``, ``phone``, ``last_name`` (prefix), ``tag``, ``external_source`` and ``external_id``.
        request: Which page, in which order.
        phone_region: Country of phone numbers without a country code.

    Raises:
        UnreadableRequest: No index serves this combination.
        Forbidden: The role may not search by personal data.
    """
    sort = queries.LISTINGS.choose(filters, request.sort)
    given = {name: value for name, value in filters.items() if value is not None}
    if principal.role is Role.ANALYST and queries.PERSONAL_FILTERS & given.keys():
        raise Forbidden("Your role may not search by personal data.")
    found = await Customer.page(_filter(given, phone_region), sort, request)
    return found.map(shape)


async def update(
    principal: Principal, customer_id: str, change: CustomerUpdate, version: int, *, phone_region: str | None = None
) -> CustomerOut:
    """Change what the patch names.

    Raises:
        NotFound: There is none of that id.
        StaleVersion: Somebody changed it since that version.
        AlreadyExists: The e-mail or an external id belongs to somebody else.
    """
    del principal
    fields = change.model_dump(include=change.model_fields_set - {"version"})
    for name in ("addresses", "tags", "external_ids"):
        if name in fields and fields[name] is None:
            fields[name] = []
    if "attributes" in fields:
        present = await Customer.fetch(queries.by_id(customer_id))
        stored = present.attributes if present else {}
        patch = fields["attributes"]
        fields["attributes"] = {} if patch is None else merge_attributes(stored, patch)
    fields = with_keys(fields, phone_region)
    try:
        found = await Customer.change(queries.at_version(customer_id, version), queries.changed(fields, now()))
    except AlreadyExists as exc:
        raise _taken(exc) from exc
    if found is None:
        await require(customer_id)
        raise StaleVersion("Somebody has changed this customer since; read it again.")
    return shape(found)


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
    """
    key = key or new_id("con")
    entry = {**consent.model_dump(), "key": key}
    found = await Customer.change(queries.without_consent(customer_id, key), queries.consent_given(entry, now()))
    return await get(principal, customer_id) if found is None else shape(found)


async def resolve(source: str, ref: CustomerRef, *, phone_region: str | None = None) -> str:
    """The id of the customer whom a sender means; one that nobody knows yet is created.

    External id first, then e-mail, then phone. Exactly once for an external id or an e-mail, which are unique; a phone
    is not (families share one), so senders that name nothing else may make two in the same moment. Of a customer that
    is found, only empty fields are filled in.

    Args:
        source: The sending system, whose ids external ids are.
        ref: Whom it means.
        phone_region: Country of phone numbers without a country code.

    Raises:
        InvalidInput: It names one of our ids that does not exist.
        Unavailable: Too many senders created and changed the same customer at once.
    """
    if ref.id is not None:
        try:
            await require(ref.id)
        except NotFound:
            raise InvalidInput.at("/customer/id", "There is no such customer.") from None
        return ref.id
    for _ in range(_ROUNDS):
        found = await _find(source, ref, phone_region)
        if found is None:
            try:
                return (await _insert(_from_ref(source, ref), phone_region)).id
            except AlreadyExists:
                continue  # somebody else created it a moment ago
        if await _complete(found, source, ref, phone_region):
            return found.id
    raise Unavailable("Too many senders create this customer at once; try again.", retry_after=1)


async def stats_revision(customer_id: str) -> int | None:
    """The revision of a customer's projection; None where there is no such customer."""
    row = await Customer.stored().find_one(queries.stats_revision(customer_id))
    return None if row is None else int(row.get("stats", {}).get("revision", 0))


async def project_stats(customer_id: str, revision: int, stats: Mapping[str, Any]) -> bool:
    """Write the projection of a customer's orders, unless somebody wrote it since ``revision``."""
    outcome = await Customer.stored().update_one(
        queries.at_stats_revision(customer_id, revision), queries.stats_projected(stats)
    )
    return outcome.matched == 1


async def seen(latest: Mapping[str, Any]) -> None:
    """Note when customers were last on the website: customer id → time."""
    for customer_id, at in latest.items():
        await Customer.stored().update_one(queries.by_id(customer_id).filter, queries.seen(at))


async def remove(customer_id: str, *, session: Any = None) -> None:
    """Remove the customer's own document; what belongs to it is the caller's part.

    Raises:
        NotFound: There is none of that id.
    """
    if await Customer.stored().delete_one(queries.by_id(customer_id).filter, session=session) == 0:
        raise NotFound("There is no such customer.")


def _filter(given: Mapping[str, str], phone_region: str | None) -> Filter:
    if "email" in given:
        try:
            return queries.email_filter(contact.email_key(given["email"]))
        except ValueError as exc:
            raise InvalidInput(str(exc), errors=(FieldError("email", str(exc)),)) from None
    if "phone" in given:
        key = contact.phone_key(given["phone"], phone_region)
        if key is None:
            says = "This phone number needs its country code, such as +44."
            raise InvalidInput(says, errors=(FieldError("phone", says),))
        return queries.phone_filter(key)
    if "tag" in given:
        return queries.tag_filter(given["tag"])
    if "last_name" in given:
        prefix = contact.name_key(given["last_name"])
        if not prefix:
            says = "A last name begins with at least one letter."
            raise InvalidInput(says, errors=(FieldError("last_name", says),))
        return queries.last_name_filter(prefix)
    if "external_id" in given:
        return queries.external_filter(given["external_source"], given["external_id"])
    return queries.everyone()


async def _find(source: str, ref: CustomerRef, phone_region: str | None) -> Customer | None:
    if ref.external_id is not None:
        found = await Customer.fetch(queries.by_external_id(source, ref.external_id))
        if found is not None:
            return found
    if ref.email is not None:
        found = await Customer.fetch(queries.by_email_key(contact.email_key(ref.email)))
        if found is not None:
            return found
    elif ref.external_id is None and ref.phone is not None:
        # A shared telephone is no proof of identity where the sender knows better (an id, an e-mail).
        key = contact.phone_key(ref.phone, phone_region)
        return await Customer.fetch(queries.by_phone_key(key)) if key else None
    return None


async def _complete(found: Customer, source: str, ref: CustomerRef, phone_region: str | None) -> bool:
    """Fill in what the customer lacks and the sender knows; False where somebody changed it meanwhile."""
    named = {"email": ref.email, "phone": ref.phone, "first_name": ref.first_name, "last_name": ref.last_name}
    fields = {name: value for name, value in named.items() if value and getattr(found, name) is None}
    external = None
    if ref.external_id and all((e.source, e.id) != (source, ref.external_id) for e in found.external_ids):
        external = {"source": source, "id": ref.external_id}
    if not fields and external is None:
        return True
    try:
        # Not tied to the version: 32 senders who each add an id of their own would only get in each other's way.
        lacking = queries.still_lacking(found.id, fields, external)
        update = queries.linked(with_keys(fields, phone_region), external, now())
        return await Customer.change(lacking, update) is not None
    except AlreadyExists:
        # The e-mail belongs to another customer: a duplicate to merge, no reason to refuse the order.
        if "email" in fields:
            return await _complete(found, source, ref.model_copy(update={"email": None}), phone_region)
        return True
    except RuleViolated:
        return True  # the list of external ids is full; a sale matters more than one more name for its customer


def _from_ref(source: str, ref: CustomerRef) -> CustomerCreate:
    fields = ref.model_dump(include={"email", "phone", "first_name", "last_name"})
    external = [{"source": source, "id": ref.external_id}] if ref.external_id else []
    return CustomerCreate.model_validate({**fields, "external_ids": external})


async def _insert(new: CustomerCreate, phone_region: str | None, customer_id: str | None = None) -> Customer:
    moment = now()
    fields = with_keys(new.model_dump(), phone_region)
    row = {"_id": customer_id or new_id("cus"), **fields, "created_at": moment, "updated_at": moment}
    try:
        return await Customer.from_row(row).add_once()
    except AlreadyExists as exc:
        raise _taken(exc) from exc


def _taken(exc: AlreadyExists) -> AlreadyExists:
    pointer = _POINTERS.get(exc.index, "")
    detail = "Another customer has this already."
    return AlreadyExists(detail, index=exc.index, errors=(FieldError(pointer, detail),))
