"""What can be done with customers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog

from crm import contact
from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.customers import checking, claiming, queries, searching
from crm.customers.claiming import Found, Learnt, Told
from crm.customers.documents import Customer
from crm.customers.forgetting import (
    disclose,
    forget,
    is_named_in,
    leave,
    of_system_behind,
    person_of,
    remains,
    with_phone,
)
from crm.customers.mapping import merge_attributes, shape, with_keys
from crm.customers.resolving import Naming, resolve_many
from crm.customers.schemas import (
    REVEALABLE,
    Consent,
    CustomerCreate,
    CustomerOut,
    CustomerRef,
    CustomerUpdate,
    RevealedOut,
    RevealIn,
)
from crm.database.collection import Write
from crm.database.ids import new_id
from crm.database.paging import Page, PageRequest
from crm.database.query import Filter
from crm.errors import (
    AlreadyExists,
    CrmError,
    Erased,
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    StaleVersion,
    UnreadableRequest,
)
from crm.identity import Principal, Role
from crm.ledger import service as ledger
from crm.masking import masked, restored, shown
from crm.person import Person

log = structlog.get_logger("crm.customers")

#: Which field a unique index speaks of.
_POINTERS: Final = {"one_customer_per_email_key": "/email", "one_customer_per_external_id": "/external_ids"}
__all__ = [  # of the other files: for the features that push, and for people who are forgotten
    "Found", "Learnt", "Naming", "Told", "disclose", "forget", "is_named_in", "leave", "of_system_behind",
    "person_of", "remains", "resolve_many", "with_phone",
]  # fmt: skip
find_named = claiming.find
learn = claiming.learn
resolve_told = claiming.resolve
pause = claiming.pause
compare_keys = checking.compare
repair_keys = checking.repair


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
    """
    if principal.kind == "key":
        await refuse_erased(new, phone_region)
    customer_id = customer_id or new_id("cus")
    restored(principal, new.model_dump(), {})
    async with audit.around(principal, Action.CUSTOMER_CREATE, customer_id):
        return shown(principal, shape(await insert(new, phone_region, customer_id)))


async def refuse_erased(new: CustomerCreate, phone_region: str | None) -> None:
    """Refuse to create somebody from a record that does not say how old it is.

    Raises:
        Erased: It names somebody who was erased.
    """
    known = await ledger.known()
    if known is None:
        return
    phone_key = contact.phone_key(new.phone, phone_region) if new.phone else None
    person = Person(
        emails=frozenset([contact.email_key(new.email)] if new.email else ()),
        phones=frozenset([phone_key] if phone_key else ()),
        users=frozenset((external.source, external.id) for external in new.external_ids),
    )
    if known.covers(person, None):
        raise Erased


async def get(principal: Principal, customer_id: str) -> CustomerOut:
    """One customer.

    Raises:
        NotFound: There is none of that id.
    """
    found = await _require(customer_id)
    await audit.seen(principal, Action.CUSTOMER_READ, customer_id)
    return shown(principal, shape(found))


async def reveal(principal: Principal, customer_id: str, wanted: RevealIn) -> RevealedOut:
    """What is hidden of a customer from whoever lacks ``pii:read``; who looked at what, and why, is recorded.

    Raises:
        NotFound: There is none of that id.
        InvalidInput: The reason names the customer: it is kept longer than what is known of them.
    """
    found = await _require(customer_id)
    if contact.is_named_in(wanted.reason, found.first_name, found.last_name):
        raise InvalidInput.at("/reason", "Say why without the customer's name: this is kept when the customer is gone.")
    details = {"fields": ", ".join(sorted(set(wanted.fields))), **masked({"reason": wanted.reason})}
    await audit.record(principal, Action.PII_REVEAL, customer_id, details)
    known = shape(found)
    return RevealedOut.model_validate(
        {"id": customer_id, **{name: getattr(known, name) if name in wanted.fields else None for name in REVEALABLE}}
    )


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
    await audit.seen(principal, Action.CUSTOMER_LIST, (customer.id for customer in found.items), given)
    return found.map(lambda customer: shown(principal, shape(customer)))


async def search(
    principal: Principal,
    text: str,
    request: PageRequest,
    filters: Mapping[str, str | None],
    owners: searching.Owners,
    *,
    phone_region: str | None = None,
) -> Page[CustomerOut]:
    """The customers whom one line of text means, the best first: one page, in an order of its own.

    Args:
        principal: Who asks.
        text: An id, an e-mail address, a telephone number, a number or id of an order, a name, or how they begin.
        request: How many, up to ``searching.MOST_FOUND``.
        filters: None of them goes with a search.
        owners: Asks the orders.
        phone_region: Country of phone numbers without a country code.

    Raises:
        Forbidden: The role may not search by personal data.
        UnreadableRequest: It asks for a filter, an order, a further page, a count, or for too many.
    """
    if principal.role is Role.ANALYST:
        raise Forbidden("Your role may not search by personal data.")
    asked = {**filters, "cursor": request.cursor, "sort": request.sort, "count": request.count or None}
    wrong = [name for name, value in asked.items() if value is not None]
    if request.limit > searching.MOST_FOUND:
        wrong.append("limit")
    if wrong:
        raise UnreadableRequest(
            f"Beside q only limit is allowed, up to {searching.MOST_FOUND}: what it finds is ranked, on one page.",
            errors=tuple(FieldError(name, "This does not go with q.") for name in sorted(wrong)),
        )
    found = await searching.find(searching.read(text, phone_region), request.limit, owners)
    return Page([shown(principal, shape(Customer.from_row(row))) for row in found])


async def update(
    principal: Principal, customer_id: str, change: CustomerUpdate, version: int, *, phone_region: str | None = None
) -> CustomerOut:
    """Change what the patch names.

    Raises:
        NotFound: There is none of that id.
        StaleVersion: Somebody changed it since that version.
        AlreadyExists: The e-mail or an external id belongs to somebody else.
    """
    present = await _require(customer_id)
    fields = change.model_dump(include=change.model_fields_set - {"version"})
    fields = restored(principal, fields, present.model_dump())
    for name in ("addresses", "tags", "external_ids"):
        if name in fields and fields[name] is None:
            fields[name] = []
    if "attributes" in fields:
        patch = fields["attributes"]
        fields["attributes"] = {} if patch is None else merge_attributes(present.attributes, patch)
    named = {"fields": ", ".join(sorted(fields)), "version": version}
    fields = with_keys(fields, phone_region, present.as_stored())
    async with audit.around(principal, Action.CUSTOMER_UPDATE, customer_id, named):
        try:
            found = await Customer.change(queries.at_version(customer_id, version), queries.edited(fields, now()))
        except AlreadyExists as exc:
            raise _taken(exc) from exc
        if found is None:
            await require(customer_id)
            raise StaleVersion("Somebody has changed this customer since; read it again.")
    return shown(principal, shape(found))


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
    await require(customer_id)
    key = key or new_id("con")
    entry = {**consent.model_dump(), "key": key}
    given = {"channel": consent.channel, "status": consent.status}
    async with audit.around(principal, Action.CUSTOMER_CONSENT, customer_id, given):
        update = queries.consent_given(entry, now())
        found = await Customer.change(queries.without_consent(customer_id, key), update)
    return shown(principal, shape(found or await _require(customer_id)))


async def resolve(source: str, ref: CustomerRef, *, phone_region: str | None = None) -> str:
    """The id of the customer who is meant, found, completed or created exactly once (``resolve_many``).

    Raises:
        InvalidInput: It names one of our ids that does not exist.
        Unavailable: Too many senders created and changed the same customer at once.
    """
    (found,) = await resolve_many([Naming(source, ref)], phone_region=phone_region)
    if isinstance(found, CrmError):
        raise found
    return found


async def stats_revisions(customer_ids: list[str]) -> dict[str, int]:
    """The revision of each customer's projection; those who do not exist are left out."""
    rows = await Customer.stored().as_applied().find(queries.stats_revisions(customer_ids))
    return {row["_id"]: int(row.get("stats", {}).get("revision", 0)) for row in rows}


async def stats_behind(after: str, limit: int) -> dict[str, Any]:
    """What is stored as projection of the customers whose ids come next, by id and in their order."""
    return {row["_id"]: row.get("stats") for row in await Customer.stored().find(queries.stats_behind(after, limit))}


async def stats_of(customer_ids: list[str]) -> dict[str, Any]:
    """What is stored as projection of some customers; those who do not exist are left out."""
    return {row["_id"]: row.get("stats") for row in await Customer.stored().find(queries.stats_of(customer_ids))}


async def project_stats(stats: Mapping[str, tuple[int, Mapping[str, Any]]]) -> bool:
    """Write the projection of customers' orders, each unless somebody wrote it since.

    Args:
        stats: Customer id → the revision that was read before the orders were, and the totals.

    Returns:
        Whether all could be written, but for those that the database's rules refuse.
    """
    writes = [
        Write(queries.by_id(customer_id).filter, queries.stats_projected(totals, revision))
        for customer_id, (revision, totals) in stats.items()
    ]
    written = await Customer.stored().write_each(writes)
    for place, error in written.errors.items():
        if not isinstance(error, InvalidInput):
            raise error
        # A rule refuses the document as it is: trying again mends nothing, and the others' totals would wait for it.
        log.error("totals were refused", customer_id=list(stats)[place], rules=[e.detail for e in error.errors])
    return written.modified + len(written.errors) == len(writes)


async def seen(latest: Mapping[str, Any]) -> None:
    """Note when customers were last on the website: customer id → time."""
    if not latest:
        return
    writes = [Write(queries.by_id(customer_id).filter, queries.seen(at)) for customer_id, at in latest.items()]
    written = await Customer.stored().write_each(writes)
    for place, error in written.errors.items():
        if not isinstance(error, InvalidInput):
            raise error
        # A rule refuses the document as it is: it must not keep the others waiting.
        log.error("last_seen_at was refused", customer_id=list(latest)[place])


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


async def insert(new: CustomerCreate, phone_region: str | None, customer_id: str | None = None) -> Customer:
    """Store a new customer, for this feature's own ways to do so.

    Raises:
        AlreadyExists: The e-mail or an external id belongs to somebody already.
    """
    moment = now()
    fields = with_keys(new.model_dump(), phone_region, {})
    row = {"_id": customer_id or new_id("cus"), **fields, "created_at": moment, "updated_at": moment}
    try:
        return await Customer.from_row(row).add_once()
    except AlreadyExists as exc:
        raise _taken(exc) from exc


async def _require(customer_id: str) -> Customer:
    found = await Customer.fetch(queries.by_id(customer_id))
    if found is None:
        raise NotFound("There is no such customer.")
    return found


def _taken(exc: AlreadyExists) -> AlreadyExists:
    pointer = _POINTERS.get(exc.index, "")
    detail = "Another customer has this already."
    return AlreadyExists(detail, index=exc.index, errors=(FieldError(pointer, detail),))
