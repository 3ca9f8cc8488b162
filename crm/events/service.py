"""What can be done with browsing events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import ALLOWED_SKEW, now
from crm.customers import service as customers
from crm.database.collection import Row
from crm.database.ids import derived_id
from crm.database.paging import Page, PageRequest, Position
from crm.errors import CrmError, Erased, Forbidden, InvalidInput
from crm.events import queries, reading, rows, storing, terms
from crm.events.commerce import RETENTION
from crm.events.forgetting import disclose, forget, rejects_that_remain, remains
from crm.events.messages import Message, Sender
from crm.events.reading import commerce_of, identities_received_between, latest_of, latest_of_each
from crm.events.rejecting import ReadAgain, keep_rejects, page_of_rejects, replay, replay_all
from crm.events.schemas import CommerceIn, EventBatch, EventBatchOut, EventCustomer, EventIn, EventOut
from crm.events.tracking import Listener, Tracked, heard, tell, track
from crm.identities import names
from crm.identities import service as identities
from crm.identity import Principal, Role
from crm.masking import shown

LISTINGS: Final = queries.LISTINGS
REJECT_LISTINGS: Final = queries.REJECT_LISTINGS
_AMOUNTS: Final = ("value", "total", "revenue", "subtotal", "shipping", "tax", "discount")
__all__ = [  # of this feature's other files, for routes and other features
    "Listener", "ReadAgain", "Tracked", "commerce_of", "disclose", "forget", "heard", "identities_received_between",
    "keep_rejects", "latest_of", "latest_of_each", "page_of_rejects", "rejects_that_remain", "remains", "replay",
    "replay_all", "track",
]  # fmt: skip


async def store(principal: Principal, batch: EventBatch, *, phone_region: str | None = None) -> EventBatchOut:
    """Store a batch of events; those that are there already are recognised by source and message id.

    Args:
        principal: Who sends; a tracking key is public and may only send anonymous events.
        batch: At most 500 events.
        phone_region: Country of phone numbers without a country code.

    Raises:
        Forbidden: A tracking key names a customer or another source, or a key may not send such events.
        RateLimited: A key has sent too many.
        InvalidInput: An event lies in the future, or names a customer id that does not exist; nothing is stored.
    """
    moment = now()
    for index, event in enumerate(batch.events):
        if principal.role is Role.TRACKING and event.customer is not None:
            raise Forbidden("A tracking key is public: it may not name customers.")
        if event.occurred_at > moment + ALLOWED_SKEW:
            raise InvalidInput.at(f"/events/{index}/occurred_at", "An event cannot happen in the future.")
    await terms.heed(principal, batch.events)
    await _require_named(batch)
    found = await _owners_of_each(principal, batch.events, phone_region)
    owners: dict[tuple[str, str], str | Erased] = {}
    for key, owner in found.items():
        if isinstance(owner, CrmError) and not isinstance(owner, Erased):
            raise owner
        owners[key] = owner
    named = [owners[_key(event)] if event.customer else None for event in batch.events]
    outcomes = await _store(principal, batch.events, named, moment)
    for outcome in outcomes:
        if isinstance(outcome, CrmError):
            raise outcome
    duplicates = sum(not outcome for outcome in outcomes)
    return EventBatchOut(accepted=len(batch.events) - duplicates, duplicates=duplicates)


async def store_each(
    principal: Principal, events: Sequence[EventIn], *, phone_region: str | None = None
) -> list[tuple[str, bool] | CrmError]:
    """Store events one by one as far as it is possible to tell: one that is refused does not harm the others.

    Returns:
        For each its id and whether it is new, or why it is refused.

    Raises:
        Unavailable: The database is away; send them again.
    """
    moment = now()
    owners = await _owners_of_each(principal, events, phone_region)
    answers: dict[int, tuple[str, bool] | CrmError] = {}
    named: dict[int, str | Erased | None] = {}
    for index, event in enumerate(events):
        owner = owners[_key(event)] if event.customer else None
        if event.occurred_at > moment + ALLOWED_SKEW:
            answers[index] = InvalidInput.at("/occurred_at", "An event cannot happen in the future.")
        elif isinstance(owner, CrmError) and not isinstance(owner, Erased):
            answers[index] = owner
        else:
            named[index] = owner
    outcomes = await _store(principal, [events[index] for index in named], list(named.values()), moment)
    for index, outcome in zip(named, outcomes, strict=True):
        event_id = derived_id("evt", events[index].source, events[index].message_id)
        answers[index] = outcome if isinstance(outcome, CrmError) else (event_id, outcome)
    return [answers[index] for index in range(len(events))]


async def page(
    principal: Principal,
    customer_id: str | None,
    source: str | None,
    anonymous_id: str | None,
    request: PageRequest,
) -> Page[EventOut]:
    """One page of a customer's or visitor's events, the latest first.

    Raises:
        UnreadableRequest: Neither is named.
        Forbidden: The role may not search by visitor.
    """
    filters = {"customer_id": customer_id, "source": source, "anonymous_id": anonymous_id}
    sort = LISTINGS.choose(filters, request.sort)
    if customer_id is not None:
        ids = await identities.identities_of(customer_id)
    elif principal.role is Role.ANALYST:
        raise Forbidden("Your role may not search by visitor.")
    else:
        ids = [names.of_visitor(source or "", anonymous_id or "")]
    page = await reading.page_of_identities(ids, sort, request)
    await audit.seen(principal, Action.EVENT_LIST, (customer_id if page.items else None,), filters)
    return page.map(lambda row: shown(principal, rows.shape(row, customer_id)))


async def behind(
    customer_id: str, identity_ids: Sequence[str], position: Position | None, limit: int
) -> list[EventOut]:
    """The latest events of a customer, all of whose identities are given, behind a position in time."""
    return [rows.shape(row, customer_id) for row in await reading.latest_of(identity_ids, limit, position)]


async def _store(
    principal: Principal, events: Sequence[EventIn], named: Sequence[str | Erased | None], moment: datetime
) -> list[storing.Outcome]:
    """Store events of which it is known whose they are; those of erased people are taken for new and not stored."""
    trusted = principal.role is not Role.TRACKING
    senders = {event.source: Sender(principal.id, event.source, trusted) for event in events}
    made: dict[int, Row] = {}
    for place, (event, owner) in enumerate(zip(events, named, strict=True)):
        if not isinstance(owner, Erased):
            made[place] = rows.of_message(senders[event.source], _message(event), moment, owner)
    gone = await identities.erased({rows.whose(row) for row in made.values()})
    made = {place: row for place, row in made.items() if rows.whose(row) not in gone}
    told = dict(zip(made, await storing.store(list(made.values())), strict=True))
    outcomes = [told.get(place, True) for place in range(len(events))]
    stored = [place for place, outcome in told.items() if not isinstance(outcome, CrmError)]
    tell({made[place]["identity_id"] for place in stored}, moment)
    for source, sender in senders.items():
        sightings = [
            identities.Sighting(None, events[place].anonymous_id, made[place]["occurred_at"], owner)
            for place in stored
            if isinstance(owner := named[place], str) and events[place].anonymous_id and events[place].source == source
        ]
        if sightings:
            tell(await identities.observe(sender, sightings), moment)
    await customers.seen(_last_seen(made[place] for place in stored))
    return outcomes


def _last_seen(made: Iterable[Row]) -> dict[str, datetime]:
    seen: dict[str, datetime] = {}
    for row in made:
        identity_id, at = row["identity_id"], row["occurred_at"]
        if identity_id.startswith("cus_"):
            seen[identity_id] = max(seen.get(identity_id, at), at)
    return seen


def _message(event: EventIn) -> Message:
    return Message(
        type=event.type,
        message_id=event.message_id,
        occurred_at=event.occurred_at,
        retention=RETENTION[event.commerce.action] if event.commerce else "browsing",
        anonymous_id=event.anonymous_id,
        name=event.name,
        commerce=_exact(event.commerce),
        properties=event.properties,
    )


def _exact(commerce: CommerceIn | None) -> dict[str, Any] | None:
    """With amounts as decimals."""
    if commerce is None:
        return None
    fields = commerce.model_dump(exclude_none=True)
    for name in _AMOUNTS:
        if name in fields:
            fields[name] = Decimal(fields[name])
    for product in fields.get("products", ()):
        if "price" in product:
            product["price"] = Decimal(product["price"])
    return fields


async def _owners_of_each(
    principal: Principal, events: Sequence[EventIn], phone_region: str | None
) -> Mapping[tuple[str, str], str | CrmError]:
    """Customer ids by the way they are named: a batch names few people, often.

    Nothing that an event tells brings an erased person back, however new it is: a shop that has not forgotten them goes
    on sending.
    """
    refs: dict[tuple[str, str], EventCustomer] = {_key(event): event.customer for event in events if event.customer}
    namings = [customers.Naming(source, ref, by=principal) for (source, _), ref in refs.items()]
    found = await customers.resolve_many(namings, phone_region=phone_region) if namings else []
    return dict(zip(refs, found, strict=True))


def _key(event: EventIn) -> tuple[str, str]:
    if event.customer is None:
        raise TypeError("only events that name a customer have a key")
    return event.customer.external_source or event.source, event.customer.model_dump_json()


async def _require_named(batch: EventBatch) -> None:
    """Refuse ids that do not exist before any new customer is made."""
    named = {e.customer.id: i for i, e in reversed(list(enumerate(batch.events))) if e.customer and e.customer.id}
    unknown = set(named) - await customers.existing(list(named))
    unknown -= (await customers.heirs(unknown)).keys()
    if unknown:
        first = min(named[customer_id] for customer_id in unknown)
        raise InvalidInput.at(f"/events/{first}/customer/id", "There is no such customer.")
