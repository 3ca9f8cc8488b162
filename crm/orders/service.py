"""What can be done with orders."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from crm.clock import now
from crm.customers import service as customers
from crm.database.ids import new_id
from crm.database.paging import Page, PageRequest, Position
from crm.database.query import Filter, Query
from crm.errors import (
    AlreadyExists,
    Conflict,
    FieldError,
    InvalidInput,
    NotFound,
    StaleVersion,
    Unavailable,
    UnreadableRequest,
)
from crm.identity import Principal
from crm.orders import mapping, projection, queries
from crm.orders.documents import Order
from crm.orders.schemas import OrderOut, OrderPut, OrderPutOut, OrderUpdate, Result
from crm.orders.states import may_move

#: Each round loses only to somebody who made progress; forty senders of one order need some.
_ROUNDS: Final = 40
#: The same as the database allows (contract.py), said earlier and more kindly.
_ALLOWED_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """What a list of orders is narrowed to.

    Attributes:
        customer_id: Whose.
        status: In which state.
        attached: False for walk-in sales; True is not served by an index.
        number: The number that the customer was told.
        placed_after: At or after.
        placed_before: Before.
    """

    customer_id: str | None = None
    status: str | None = None
    attached: bool | None = None
    number: str | None = None
    placed_after: datetime | None = None
    placed_before: datetime | None = None


async def put(
    principal: Principal, source: str, external_id: str, pushed: OrderPut, *, phone_region: str | None = None
) -> OrderPutOut:
    """Store a pushed order, once, whatever is repeated, reordered or sent twice at the same moment.

    Args:
        principal: Who pushes.
        source: The sending system.
        external_id: What it calls the order.
        pushed: The order as the system now knows it.
        phone_region: Country of phone numbers without a country code.

    Raises:
        InvalidInput: Amounts do not add up or do not fit the currency, the date lies in the future, or the customer's
            id does not exist.
    """
    del principal
    if pushed.placed_at > now() + _ALLOWED_SKEW:
        raise InvalidInput.at("/placed_at", "An order cannot be placed in the future.")
    fields = mapping.content(pushed)
    named = pushed.customer.model_dump() if pushed.customer else None
    fields["content_hash"] = mapping.content_hash(fields, named)
    for attempt in range(_ROUNDS):
        if attempt > 1:
            await asyncio.sleep(random.uniform(0, 0.002 * min(attempt, 20)))
        present = await Order.fetch(queries.by_external_id(source, external_id))
        if present is not None and (settled := _already_settled(present, fields)):
            # Whoever sent it first may have been stopped before the totals were written.
            await projection.refresh([present.customer_id])
            return _put_out(present, settled)
        if pushed.customer is not None:
            fields["customer_id"] = await customers.resolve(source, pushed.customer, phone_region=phone_region)
        elif present is not None:
            fields["customer_id"] = present.customer_id  # attached by hand: a push that names nobody keeps it
        written = await _write(source, external_id, fields, present)
        if written is not None:
            await projection.refresh([written.customer_id, present.customer_id if present else None])
            return _put_out(written, "updated" if present else "created")
    raise Unavailable("Too many senders change this order at once; try again.", retry_after=1)


async def get(principal: Principal, order_id: str) -> OrderOut:
    """One order by our id.

    Raises:
        NotFound: There is none.
    """
    del principal
    return mapping.shape(await _require(queries.by_id(order_id).filter))


async def get_external(principal: Principal, source: str, external_id: str) -> OrderOut:
    """One order by the sending system's id.

    Raises:
        NotFound: There is none.
    """
    del principal
    return mapping.shape(await _require(queries.by_external_id(source, external_id).filter))


async def page(principal: Principal, wanted: OrderFilter, request: PageRequest) -> Page[OrderOut]:
    """One page of orders, the latest first.

    Raises:
        UnreadableRequest: No index serves this combination.
    """
    del principal
    given: dict[str, Any] = {
        "customer_id": wanted.customer_id,
        "status": wanted.status,
        "attached": None if wanted.attached is None else str(wanted.attached),
        "number": wanted.number,
        "placed_after": wanted.placed_after,
        "placed_before": wanted.placed_before,
    }
    sort = queries.LISTINGS.choose(given, request.sort)
    if wanted.attached:
        says = "Only attached=false is served by an index: walk-in sales."
        raise UnreadableRequest(says, errors=(FieldError("attached", says),))
    chosen = queries.within(_filter(wanted), wanted.placed_after, wanted.placed_before)
    return (await Order.page(chosen, sort, request)).map(mapping.shape)


async def require_customer(customer_id: str) -> None:
    """Make sure that a customer exists before an empty list of orders is answered.

    Raises:
        NotFound: There is none.
    """
    await customers.require(customer_id)


async def update(principal: Principal, order_id: str, change: OrderUpdate, version: int) -> OrderOut:
    """Move an order to another state, attach it to a customer or detach it, or change its note.

    Raises:
        NotFound: There is none.
        StaleVersion: Somebody changed it since that version.
        Conflict: Its state allows no such move.
        InvalidInput: There is no such customer.
    """
    del principal
    present = await _require(queries.by_id(order_id).filter)
    if present.version != version:
        raise StaleVersion("Somebody has changed this order since; read it again.")
    fields = change.model_dump(include=change.model_fields_set - {"version"})
    if fields.get("status") is None:
        fields.pop("status", None)
    elif not may_move(present.status, fields["status"]):
        raise Conflict(f"An order that is {present.status} cannot become {fields['status']}.")
    if fields.get("customer_id") is not None:
        try:
            await customers.require(fields["customer_id"])
        except NotFound:
            raise InvalidInput.at("/customer_id", "There is no such customer.") from None
    found = await Order.change(queries.at_version(order_id, version), queries.replaced(fields, now()))
    if found is None:
        raise StaleVersion("Somebody has changed this order since; read it again.")
    await projection.refresh([present.customer_id, found.customer_id])
    return mapping.shape(found)


async def behind(customer_id: str, position: Position | None, limit: int) -> list[OrderOut]:
    """A customer's latest orders behind a position in time."""
    return [mapping.shape(o) for o in await Order.fetch_all(queries.customer_behind(customer_id, position, limit))]


async def detach_all(customer_id: str, *, session: Any) -> int:
    """Detach a customer's orders and strip addresses and notes; returns how many there were."""
    return await Order.stored().update_many(queries.detach_all(customer_id), queries.detached(now()), session=session)


def _already_settled(present: Order, fields: Mapping[str, Any]) -> Result | None:
    if present.content_hash == fields["content_hash"]:
        return "unchanged"
    ours, theirs = present.source_updated_at, fields["source_updated_at"]
    return "stale" if ours and theirs and theirs < ours else None


async def _write(source: str, external_id: str, fields: dict[str, Any], present: Order | None) -> Order | None:
    """Create or replace; None where somebody else was faster."""
    if present is not None:
        return await Order.change(queries.at_version(present.id, present.version), queries.replaced(fields, now()))
    try:
        row = await Order.stored().find_and_update(
            queries.not_yet_there(source, external_id), queries.created(new_id("ord"), fields, now()), upsert=True
        )
    except AlreadyExists:
        return None
    return Order.from_row(row) if row else None


async def _require(filter_: Filter) -> Order:
    found = await Order.fetch(Query(filter_))
    if found is None:
        raise NotFound("There is no such order.")
    return found


def _filter(wanted: OrderFilter) -> Filter:
    if wanted.customer_id is not None:
        return queries.of_customer(wanted.customer_id)
    if wanted.status is not None:
        return queries.in_status(wanted.status)
    if wanted.attached is not None:
        return queries.unattached()
    if wanted.number is not None:
        return queries.with_number(wanted.number)
    return queries.everything()


def _put_out(order: Order, result: Result) -> OrderPutOut:
    return OrderPutOut(**mapping.shape(order).model_dump(), result=result, stale=result == "stale")
