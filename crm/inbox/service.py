"""What can be done with deliveries: put down, carried out once, or kept as dead until somebody looks."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, get_args

from prometheus_client import Counter

from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.connections import service as connections
from crm.connections.schemas import Shop
from crm.database.collection import Row
from crm.database.ids import derived_id
from crm.database.paging import COUNT_CAP, Page, PageRequest, after, page_of
from crm.errors import AlreadyExists, Conflict, NotFound
from crm.identity import Principal
from crm.inbox import queries
from crm.inbox.documents import Delivery
from crm.inbox.forgetting import disclose, empty, forget, names_somebody_erased, remains
from crm.inbox.schemas import Arrival, Backlog, DeliveryFull, DeliveryOut, Outcome, State, Work

__all__ = ["disclose", "forget", "remains"]  # of people who are forgotten
LISTINGS: Final = queries.LISTINGS
#: How long a claim holds: a product with 2,000 variants takes some seconds.
CLAIM: Final = timedelta(minutes=2)
#: When to look again for a delivery while another state of its resource is being carried out.
_IN_LINE: Final = timedelta(seconds=1)
_FORGOTTEN_AFTER: Final = timedelta(days=7)
_LONGEST_DETAIL: Final = 1000
#: Deliveries of a state that are counted; beyond these it does not matter how many there are.
_MOST_COUNTED: Final = 10_000
_TRIES: Final = Counter("crm_deliveries_total", "Tries to carry out what a shop delivered, by their end", ("outcome",))


async def put_down(connection_id: str, arrival: Arrival) -> bool:
    """Store a delivery before it is answered; one that is there already is stored once.

    Returns:
        Whether it is new.
    """
    moment = now()
    delivery = Delivery.from_row(
        {
            "_id": derived_id("dlv", connection_id, *arrival.key),
            "connection_id": connection_id,
            "topic": arrival.topic,
            "body": arrival.body,
            "resource": arrival.resource,
            "source_version": arrival.version,
            "overrides": arrival.overrides,
            "webhook_id": arrival.webhook_id,
            "event_id": arrival.event_id,
            "api_version": arrival.api_version,
            "triggered_at": arrival.triggered_at,
            "received_at": moment,
            "state": "waiting",
            "due_at": moment,
        }
    )
    try:
        await Delivery.stored().insert(delivery.as_stored())
    except AlreadyExists:
        return False
    return True


async def page(
    principal: Principal, state: State | None, connection_id: str | None, request: PageRequest
) -> Page[DeliveryOut]:
    """One page of deliveries, the latest first; without their bodies.

    Raises:
        UnreadableRequest: No index serves this combination.
    """
    given = {"state": state, "connection_id": connection_id}
    sort = LISTINGS.choose(given, request.sort)
    chosen = queries.of_connection(connection_id, state or "") if connection_id else queries.in_state(state or "")
    rows = await Delivery.stored().find(queries.without_body(after(chosen, sort, request)))
    found = page_of(rows, sort, request, lambda row: (row[sort.removeprefix("-")], row["_id"]))
    count = await Delivery.stored().count(chosen, at_most=COUNT_CAP + 1) if request.count else None
    await audit.seen(principal, Action.DELIVERY_LIST, (row["_id"] for row in found.items), given)
    return Page([_shape(row) for row in found.items], found.next_cursor, count)


async def get(principal: Principal, delivery_id: str) -> DeliveryFull:
    """One delivery with its body.

    Raises:
        NotFound: There is none of that id.
    """
    row = await Delivery.stored().find_one(queries.by_id(delivery_id))
    if row is None:
        raise NotFound("There is no such delivery.")
    text, encoding = _text(row["body"])
    await audit.seen(principal, Action.DELIVERY_READ, delivery_id)
    return DeliveryFull.model_validate({**_shape(row).model_dump(), "body": text, "body_encoding": encoding})


async def replay(principal: Principal, delivery_id: str) -> DeliveryOut:
    """Carry a dead delivery out again.

    Raises:
        NotFound: There is none of that id.
        Conflict: It is not dead.
    """
    await _require(delivery_id)
    async with audit.around(principal, Action.DELIVERY_REPLAY, delivery_id):
        row = await Delivery.stored().find_and_update(queries.dead_one(delivery_id), queries.replayed(now()))
        if row is None:
            raise Conflict("Only a dead delivery can be replayed.")
    return _shape(row)


async def replay_all(principal: Principal, connection_id: str) -> int:
    """Carry all dead deliveries of a connection out again; returns how many there were."""
    wanted = queries.of_connection(connection_id, "dead")
    await audit.record(principal, Action.DELIVERY_REPLAY, connection_id)
    return await Delivery.stored().update_many(wanted, queries.replayed(now()))


async def discard(principal: Principal, delivery_id: str) -> None:
    """Forget a dead delivery.

    Raises:
        NotFound: There is none of that id.
        Conflict: It is not dead.
    """
    await _require(delivery_id)
    async with audit.around(principal, Action.DELIVERY_DISCARD, delivery_id):
        if not await Delivery.stored().delete_one(queries.dead_one(delivery_id)):
            raise Conflict("Only a dead delivery can be discarded.")


async def due(limit: int) -> list[str]:
    """Ids of deliveries to carry out now: of those that have waited longest, in the order of the source's own dates."""
    rows = await Delivery.stored().find(queries.due(now(), limit))
    return [row["_id"] for row in sorted(rows, key=_in_order)]


async def claim(delivery_id: str) -> Work | None:
    """Make a delivery ours for a while; None where somebody else has it, or another state of the same resource."""
    moment = now()
    try:
        row = await Delivery.stored().find_and_update(
            queries.still_due(delivery_id, moment), queries.claimed(moment + CLAIM)
        )
    except AlreadyExists:
        # Out of the way of those behind it, in case the other claim lasts.
        await Delivery.stored().update_one(queries.still_due(delivery_id, moment), queries.queued(moment + _IN_LINE))
        return None
    if row is None:
        return None
    found = await connections.shop(row["connection_id"])
    return None if found is None else _work(row, found)


async def backlog() -> Backlog:
    """What is not carried out yet, or dead: reads indexes only."""
    unsettled = [state for state in get_args(State) if state != "done"]
    counts = {
        state: await Delivery.stored().count(queries.in_state(state), at_most=_MOST_COUNTED) for state in unsettled
    }
    longest = await Delivery.stored().find_one(queries.due_longest(now()))
    return Backlog(counts, None if longest is None else longest["due_at"])


async def is_superseded(work: Work) -> bool:
    """Whether a later state of the same resource has been carried out already."""
    if work.resource is None or work.version is None or work.overrides:
        return False
    sent, came = work.triggered_at, work.received_at
    newer = queries.newer_applied(work.shop.connection_id, work.resource, work.version, sent, came)
    return await Delivery.stored().find_one(newer) is not None


async def settle(work: Work, outcome: Outcome) -> None:
    """Note that a delivery is carried out, and that earlier ones of the same resource need not be any more.

    Of one that tells of somebody who was erased nothing is kept.
    """
    _TRIES.labels(outcome).inc()
    expires = now() + _FORGOTTEN_AFTER
    ours = queries.claimed_by_us(work.id, work.attempt)
    found = await Delivery.stored().update_one(ours, queries.done(outcome, expires))
    if await names_somebody_erased(work):
        await empty(work.id, work.resource)
    if found.matched and outcome == "applied" and work.resource is not None and work.version is not None:
        sent, came = work.triggered_at, work.received_at
        older = queries.older_dead(work.shop.connection_id, work.resource, work.version, sent, came)
        await Delivery.stored().update_many(older, queries.done("superseded", expires))


async def put_off(work: Work, wait: timedelta) -> None:
    """Try a delivery again later."""
    _TRIES.labels("put_off").inc()
    await Delivery.stored().update_one(queries.claimed_by_us(work.id, work.attempt), queries.put_off(now() + wait))


async def bury(work: Work, reason: str, detail: str) -> None:
    """Keep a delivery that cannot be carried out, with the reason, until somebody looks.

    One that tells of somebody who was erased is not kept: it is older, so it is no new sale.
    """
    if await names_somebody_erased(work):
        await settle(work, "ignored")
        return
    _TRIES.labels("dead").inc()
    ours = queries.claimed_by_us(work.id, work.attempt)
    await Delivery.stored().update_one(ours, queries.dead(reason, detail[:_LONGEST_DETAIL]))


async def _require(delivery_id: str) -> None:
    if await Delivery.stored().find_one(queries.without_body(queries.by_id(delivery_id))) is None:
        raise NotFound("There is no such delivery.")


def _in_order(row: Mapping[str, Any]) -> tuple[datetime, datetime, datetime]:
    came: datetime = row["received_at"]
    return row.get("source_version") or came, row.get("triggered_at") or came, came


def _work(row: Mapping[str, Any], shop: Shop) -> Work:
    return Work(
        id=row["_id"],
        attempt=row["attempts"],
        shop=shop,
        topic=row["topic"],
        body=bytes(row["body"]),
        resource=row.get("resource"),
        version=row.get("source_version"),
        overrides=row.get("overrides", False),
        triggered_at=row.get("triggered_at"),
        received_at=row["received_at"],
    )


def _text(body: bytes) -> tuple[str, str]:
    try:
        return body.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "base64"


def _shape(row: Row) -> DeliveryOut:
    names: Sequence[str] = list(DeliveryOut.model_fields)
    return DeliveryOut.model_validate({name: row.get("_id" if name == "id" else name) for name in names})
