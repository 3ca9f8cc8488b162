"""What can be done with customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from crm import contact
from crm.audit import service as audit
from crm.audit.service import Action
from crm.custom_fields import service as custom_fields
from crm.customers import (
    checking,
    claiming,
    consents,
    editing,
    following,
    joining,
    matching,
    orphans,
    queries,
    recording,
    searching,
)
from crm.customers.claiming import Found, Learnt, Told
from crm.customers.documents import Customer
from crm.customers.following import Heir
from crm.customers.forgetting import (
    disclose,
    forget,
    is_named_in,
    leave,
    named_in,
    of_system_behind,
    person_of,
    remains,
    theirs_alone,
    was_erased,
    with_phone,
)
from crm.customers.joining import Joined
from crm.customers.mapping import shape
from crm.customers.merging import Decision, Parted
from crm.customers.naming import Naming
from crm.customers.resolving import resolve_many
from crm.customers.schemas import (
    REVEALABLE,
    CustomerOut,
    CustomerRef,
    RevealedOut,
    RevealIn,
)
from crm.database.collection import Write
from crm.database.paging import Page, PageRequest
from crm.database.query import Filter
from crm.errors import (
    CrmError,
    FieldError,
    Forbidden,
    InvalidInput,
    UnreadableRequest,
)
from crm.identity import PII_READ, Principal, Role
from crm.masking import masked, shown

log = structlog.get_logger("crm.customers")
LISTINGS: Final = queries.LISTINGS
CHANGES: Final = queries.CHANGES

__all__ = [  # of the other files: for the features that push, track and merge, and for people who are forgotten
    "Decision", "Found", "Heir", "Joined", "Learnt", "Naming", "Parted", "Told", "disclose", "forget", "is_named_in",
    "leave", "named_in", "of_system_behind", "person_of", "remains", "resolve_many", "theirs_alone", "was_erased",
    "with_phone",
]  # fmt: skip
MOST_FOUND: Final = searching.MOST_FOUND
create = editing.create
forget_told = recording.forget_told
update = editing.update
add_consent = editing.add_consent
find_named = claiming.find
heirs = following.heirs
current = following.current
plan_merge = joining.propose
join = joining.join
part = joining.part
match_keys_behind = matching.keys_behind
sharing = matching.sharing
estimated_count = matching.estimated_count
learn = claiming.learn
resolve_told = claiming.resolve
pause = claiming.pause
compare_keys = checking.compare
repair_keys = checking.repair
compare_consents = consents.compare
repair_consents = consents.repair
take_over_consents = consents.take_over
orphaned = orphans.orphaned
orphans_told = orphans.told
missing = orphans.missing
changes_orphaned = orphans.changes_orphaned
consents_orphaned = orphans.consents_orphaned
changes = recording.page
changes_behind = recording.behind


async def get(principal: Principal, customer_id: str) -> CustomerOut:
    """One customer.

    Raises:
        NotFound: There is none of that id.
    """
    found = await editing.whole(customer_id)
    await audit.seen(principal, Action.CUSTOMER_READ, customer_id)
    return shown(principal, shape(found))


async def reveal(principal: Principal, customer_id: str, wanted: RevealIn) -> RevealedOut:
    """What is hidden of a customer from whoever lacks ``pii:read``; who looked at what, and why, is recorded.

    Raises:
        NotFound: There is none of that id.
        InvalidInput: The reason names the customer: it is kept longer than what is known of them.
    """
    found = await editing.whole(customer_id)
    reason = masked({"reason": wanted.reason})["reason"]
    if await is_named_in(customer_id, reason):
        raise InvalidInput.at("/reason", "Say why without naming the customer: this is kept when the customer is gone.")
    details = {"fields": ", ".join(sorted(set(wanted.fields))), "reason": reason}
    await audit.record(principal, Action.PII_REVEAL, customer_id, details)
    known = shape(found)
    return RevealedOut.model_validate(
        {"id": customer_id, **{name: getattr(known, name) if name in wanted.fields else None for name in REVEALABLE}}
    )


async def some(principal: Principal, customer_ids: Sequence[str]) -> dict[str, CustomerOut]:
    """Several customers by id; those who do not exist are left out."""
    found = await Customer.fetch_all(queries.whole(list(customer_ids))) if customer_ids else []
    return {customer.id: shown(principal, shape(customer)) for customer in found}


async def require(customer_id: str) -> None:
    """Make sure that a customer exists.

    Raises:
        NotFound: There is none of that id.
        Moved: It was merged into another.
    """
    if await Customer.stored().find_one(queries.by_ids([customer_id])) is None:
        raise await following.missing(customer_id)


async def existing(customer_ids: list[str]) -> set[str]:
    """Which of these ids are customers."""
    return {row["_id"] for row in await Customer.stored().find(queries.by_ids(customer_ids))} if customer_ids else set()


async def page(
    principal: Principal,
    filters: Mapping[str, str | None],
    request: PageRequest,
    *,
    phone_region: str | None = None,
    attributes: Mapping[str, str] | None = None,
) -> Page[CustomerOut]:
    """One page of customers.

    Args:
        principal: Who asks.
        filters: ``email``, ``phone``, ``last_name`` (prefix), ``tag``, ``external_source`` and ``external_id``.
        request: Which page, in which order.
        phone_region: Country of phone numbers without a country code.
        attributes: Values of custom fields, as texts.

    Raises:
        UnreadableRequest: No index serves this combination.
        Forbidden: The role may not search by personal data.
        InvalidInput: A value is none of its field.
    """
    own = attributes or {}
    fields = await custom_fields.present()
    indexed = fields.indexed()
    # A name that nobody has defined is the client's own text, which no answer repeats.
    wanted = {**filters, **{f"field.{name if name in indexed else '…'}": text for name, text in own.items()}}
    sort = queries.listings(indexed).choose(wanted, request.sort)
    given = {name: value for name, value in filters.items() if value is not None}
    if principal.role is Role.ANALYST and (own or queries.PERSONAL_FILTERS & given.keys()):
        raise Forbidden("Your role may not search by personal data.")
    chosen = _filter(given, phone_region)
    for name, text in own.items():
        chosen = queries.custom_field_filter(name, _field_value(fields, name, text))
    found = await Customer.page(chosen, sort, request)
    await audit.seen(principal, Action.CUSTOMER_LIST, (customer.id for customer in found.items), wanted)
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
        request: How many; of more than ``searching.MOST_FOUND`` so many are shown.
        filters: None of them goes with a search.
        owners: Asks the orders.
        phone_region: Country of phone numbers without a country code.

    Raises:
        Forbidden: The role may not search by personal data.
        UnreadableRequest: It asks for a filter, an order, a further page, or a count.
    """
    if principal.role is Role.ANALYST:
        raise Forbidden("Your role may not search by personal data.")
    asked = {**filters, "cursor": request.cursor, "sort": request.sort, "count": request.count or None}
    wrong = [name for name, value in asked.items() if value is not None]
    if wrong:
        raise UnreadableRequest(
            "Beside q only limit is allowed: what it finds is ranked, on one page.",
            errors=tuple(FieldError(name, "This does not go with q.") for name in sorted(wrong)),
        )
    typed = searching.read(text, phone_region)
    if PII_READ not in principal.permissions:
        typed = searching.in_full(typed)
    found, more = await searching.find(typed, min(request.limit, searching.MOST_FOUND), owners)
    await audit.seen(principal, Action.CUSTOMER_SEARCH, (row["_id"] for row in found))
    return Page([shown(principal, shape(Customer.from_row(row))) for row in found], truncated=more)


async def resolve(principal: Principal, source: str, ref: CustomerRef, *, phone_region: str | None = None) -> str:
    """The id of the customer who is meant, found, completed or created exactly once (``resolve_many``).

    Raises:
        InvalidInput: It names one of our ids that does not exist.
        Unavailable: Too many senders created and changed the same customer at once.
    """
    (found,) = await resolve_many([Naming(source, ref, by=principal)], phone_region=phone_region)
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


def _field_value(fields: custom_fields.Fields, name: str, text: str) -> Any:
    try:
        return fields.read(name, text)
    except ValueError as exc:
        raise InvalidInput(str(exc), errors=(FieldError(f"field.{name}", str(exc)),)) from None


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
