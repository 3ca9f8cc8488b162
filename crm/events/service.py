"""What can be done with browsing events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from crm.clock import now
from crm.customers import service as customers
from crm.database.ids import derived_id, for_storage
from crm.database.paging import Page, PageRequest, Position
from crm.errors import CrmError, Forbidden, InvalidInput, RuleViolated
from crm.events import queries
from crm.events.documents import Event
from crm.events.schemas import EventBatch, EventBatchOut, EventCustomer, EventIn, EventOut
from crm.identity import Principal, Role

_ALLOWED_SKEW: Final = timedelta(minutes=5)


async def store(principal: Principal, batch: EventBatch, *, phone_region: str | None = None) -> EventBatchOut:
    """Store a batch of events; those that are there already are recognised by source and message id.

    Args:
        principal: Who sends; a tracking key is public and may only send anonymous events.
        batch: At most 500 events.
        phone_region: Country of phone numbers without a country code.

    Raises:
        Forbidden: A tracking key names a customer.
        InvalidInput: An event lies in the future, or names a customer id that does not exist; nothing is stored.
    """
    moment = now()
    for index, event in enumerate(batch.events):
        if principal.role is Role.TRACKING and event.customer is not None:
            raise Forbidden("A tracking key is public: it may not name customers.")
        if event.occurred_at > moment + _ALLOWED_SKEW:
            raise InvalidInput.at(f"/events/{index}/occurred_at", "An event cannot happen in the future.")
    await _require_named(batch)
    owners = await _resolve(batch, phone_region)
    rows: dict[str, dict[str, Any]] = {}
    seen: dict[str, datetime] = {}
    for event in batch.events:
        customer_id = owners[_key(event)] if event.customer else None
        row = _row(event, customer_id, moment)
        rows.setdefault(row["_id"], row)
        if customer_id:
            seen[customer_id] = max(seen.get(customer_id, row["occurred_at"]), row["occurred_at"])
    present = await Event.stored().insert_new(list(rows.values()))
    await customers.seen(seen)
    duplicates = len(batch.events) - len(rows) + len(present)
    return EventBatchOut(accepted=len(batch.events) - duplicates, duplicates=duplicates)


async def store_each(
    events: Sequence[EventIn], *, phone_region: str | None = None
) -> list[tuple[str, bool] | CrmError]:
    """Store events one by one as far as it is possible to tell: one that is refused does not harm the others.

    Returns:
        For each its id and whether it is new, or why it is refused.

    Raises:
        Unavailable: The database is away; send them again.
    """
    moment = now()
    owners = await _owners_of_each(events, phone_region)
    answers: dict[int, tuple[str, bool] | CrmError] = {}
    rows: dict[str, dict[str, Any]] = {}
    for index, event in enumerate(events):
        owner = owners[_key(event)] if event.customer else None
        if event.occurred_at > moment + _ALLOWED_SKEW:
            answers[index] = InvalidInput.at("/occurred_at", "An event cannot happen in the future.")
        elif isinstance(owner, CrmError):
            answers[index] = owner
        else:
            row = _row(event, owner, moment)
            answers[index] = (row["_id"], row["_id"] not in rows)
            rows.setdefault(row["_id"], row)
    refused = await _insert_each(rows)
    for index, answer in answers.items():
        if isinstance(answer, tuple) and answer[0] in refused:
            answers[index] = refused[answer[0]] or (answer[0], False)
    await customers.seen(_last_seen(row for row in rows.values() if not refused.get(row["_id"])))
    return [answers[index] for index in range(len(events))]


async def _owners_of_each(events: Sequence[EventIn], phone_region: str | None) -> dict[tuple[str, str], str | CrmError]:
    refs = {_key(event): event.customer for event in events if event.customer}
    namings = [customers.Naming(source, ref) for (source, _), ref in refs.items()]
    found = await customers.resolve_many(namings, phone_region=phone_region) if namings else []
    return dict(zip(refs, found, strict=True))


async def _insert_each(rows: Mapping[str, dict[str, Any]]) -> dict[str, CrmError | None]:
    """Store rows; returns those that were not: None where they were there already, else why."""
    try:
        return dict.fromkeys(await Event.stored().insert_new(list(rows.values()))) if rows else {}
    except RuleViolated as exc:
        if len(rows) == 1:
            return dict.fromkeys(rows, exc)
    found: dict[str, CrmError | None] = {}
    for key, row in rows.items():
        found |= await _insert_each({key: row})
    return found


def _last_seen(rows: Iterable[Mapping[str, Any]]) -> dict[str, datetime]:
    seen: dict[str, datetime] = {}
    for row in rows:
        if customer_id := row.get("customer_id"):
            seen[customer_id] = max(seen.get(customer_id, row["occurred_at"]), row["occurred_at"])
    return seen


async def page(
    principal: Principal, customer_id: str | None, anonymous_id: str | None, request: PageRequest
) -> Page[EventOut]:
    """One page of a customer's or visitor's events, the latest first.

    Raises:
        UnreadableRequest: Neither is named.
        Forbidden: The role may not search by visitor.
    """
    sort = queries.LISTINGS.choose({"customer_id": customer_id, "anonymous_id": anonymous_id}, request.sort)
    if customer_id is not None:
        return (await Event.page(queries.of_customer(customer_id), sort, request)).map(_shape)
    if principal.role is Role.ANALYST:
        raise Forbidden("Your role may not search by visitor.")
    return (await Event.page(queries.of_visitor(anonymous_id or ""), sort, request)).map(_shape)


async def behind(customer_id: str, position: Position | None, limit: int) -> list[EventOut]:
    """A customer's latest events behind a position in time."""
    return [_shape(e) for e in await Event.fetch_all(queries.customer_behind(customer_id, position, limit))]


async def remove_all(customer_id: str) -> int:
    """Remove a customer's events; returns how many there were."""
    return await Event.stored().delete_many(queries.of_customer(customer_id))


def _key(event: EventIn) -> tuple[str, str]:
    if event.customer is None:
        raise TypeError("only events that name a customer have a key")
    return _source(event), event.customer.model_dump_json()


def _source(event: EventIn) -> str:
    named = event.customer.external_source if event.customer else None
    return named or event.source


async def _require_named(batch: EventBatch) -> None:
    """Refuse ids that do not exist before any new customer is made."""
    named = {e.customer.id: i for i, e in reversed(list(enumerate(batch.events))) if e.customer and e.customer.id}
    unknown = set(named) - await customers.existing(list(named))
    if unknown:
        first = min(named[customer_id] for customer_id in unknown)
        raise InvalidInput.at(f"/events/{first}/customer/id", "There is no such customer.")


async def _resolve(batch: EventBatch, phone_region: str | None) -> dict[tuple[str, str], str]:
    """Customer ids by the way they are named: a batch names few people, often."""
    refs: dict[tuple[str, str], EventCustomer] = {_key(e): e.customer for e in batch.events if e.customer}
    namings = [customers.Naming(source, ref) for (source, _), ref in refs.items()]
    owners: dict[tuple[str, str], str] = {}
    for key, found in zip(refs, await customers.resolve_many(namings, phone_region=phone_region), strict=True):
        if isinstance(found, CrmError):
            raise found
        owners[key] = found
    return owners


def _row(event: EventIn, customer_id: str | None, moment: datetime) -> dict[str, Any]:
    row: dict[str, Any] = for_storage(
        {
            **event.model_dump(exclude={"customer", "properties"}),
            "_id": derived_id("evt", event.source, event.message_id),
            "customer_id": customer_id,
            # A sender's clock that is a little ahead must not put events into the future.
            "occurred_at": min(event.occurred_at, moment),
            "received_at": moment,
        }
    )
    row["properties"] = event.properties
    return row


def _shape(event: Event) -> EventOut:
    return EventOut(**event.model_dump(exclude={"revision_id"}))
