"""What can be done with orders."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.customers import service as customers
from crm.database import driver
from crm.database.paging import Page, PageRequest, Position
from crm.database.query import Filter, Query
from crm.errors import Conflict, CrmError, FieldError, InvalidInput, NotFound, StaleVersion, UnreadableRequest
from crm.identity import Principal, Role
from crm.masking import shown
from crm.orders import checking, filters, following, mapping, projection, pushing, queries, refunding, together
from crm.orders.documents import Order, OrderVersion
from crm.orders.filters import OrderFilter
from crm.orders.forgetting import disclose, forget, of_source_behind, person_of, pushed_as, remains
from crm.orders.history import changes
from crm.orders.pushes import Prepared, Push, Pushed
from crm.orders.pushing import DEFAULT_MOST_ITEMS, prepare, version_row
from crm.orders.refunding import Refunded
from crm.orders.schemas import OrderChange, OrderOut, OrderPut, OrderRefundOut, OrderUpdate, Reconciled, RefundIn
from crm.orders.states import Status, after_refunds, may_move

__all__ = [  # what callers give and get, and of people who are forgotten
    "OrderFilter", "Push", "Pushed", "Refunded", "disclose", "forget", "of_source_behind",
    "person_of", "pushed_as", "remains",
]  # fmt: skip
move = following.move
move_back = following.move_back
#: Totals of customers, as their orders add up.
settled = projection.settled
adding_up = projection.running
totals_due_since = projection.due_since
add_up_due = checking.add_up_due
compare_totals = checking.compare
repair_totals = checking.repair
ownerless = checking.ownerless
versions_ownerless = checking.versions_ownerless
versions_orphaned = checking.versions_orphaned
LISTINGS: Final = queries.LISTINGS
RECONCILED: Final = queries.RECONCILED
VERSIONS: Final = queries.VERSIONS


async def put(
    principal: Principal,
    source: str,
    external_id: str,
    pushed: OrderPut,
    *,
    phone_region: str | None = None,
    most_items: int = DEFAULT_MOST_ITEMS,
) -> Pushed:
    """Store a pushed order, once, whatever is repeated, reordered or sent twice at the same moment.

    Pushes that come at the same time are written together (``database/coalesce.py``).

    Args:
        principal: Who pushes.
        source: The sending system.
        external_id: What it calls the order.
        pushed: The order as the system now knows it.
        phone_region: Country of phone numbers without a country code.
        most_items: More are refused.

    Raises:
        InvalidInput: Amounts do not add up or do not fit the currency, the date lies in the future, or the customer's
            id does not exist.
        Conflict: More was refunded than the new total, or in another currency.
        Unavailable: The database is away, or too many pushes wait already.
    """
    prepared = prepare(principal, Push(source, external_id, pushed), most_items=most_items)
    named = {"source": source, "external_id": external_id}
    async with audit.by_staff(principal, Action.ORDER_PUT, details=named):
        return await together.submit(prepared, phone_region)


async def put_many(
    principal: Principal,
    pushes: Sequence[Push],
    *,
    phone_region: str | None = None,
    most_items: int = DEFAULT_MOST_ITEMS,
) -> list[Pushed | CrmError]:
    """Store many pushed orders as one batch; what cannot be stored has its error in its place.

    Raises:
        Unavailable: The database is away; which of them were stored is unknown, and sending them again tells.
    """
    answers: list[Pushed | CrmError | None] = [None] * len(pushes)
    prepared: dict[int, Prepared] = {}
    for index, push in enumerate(pushes):
        try:
            prepared[index] = prepare(principal, push, most_items=most_items)
        except CrmError as exc:
            answers[index] = exc
    stored = await pushing.put_many(list(prepared.values()), phone_region=phone_region)
    for index, answer in zip(prepared, stored, strict=True):
        answers[index] = answer
    return [answer for answer in answers if answer is not None]


async def get(principal: Principal, order_id: str) -> OrderOut:
    """One order by our id.

    Raises:
        NotFound: There is none.
    """
    return await _read(principal, queries.by_id(order_id).filter)


async def get_external(principal: Principal, source: str, external_id: str) -> OrderOut:
    """One order by the sending system's id.

    Raises:
        NotFound: There is none.
    """
    return await _read(principal, queries.by_external_id(source, external_id).filter)


async def existing(order_ids: list[str]) -> set[str]:
    """Which of these ids are orders."""
    return {row["_id"] for row in await Order.stored().find(queries.by_ids(order_ids))} if order_ids else set()


async def page(principal: Principal, wanted: OrderFilter, request: PageRequest) -> Page[OrderOut]:
    """One page of orders, the latest first.

    Raises:
        UnreadableRequest: No index serves this combination.
    """
    given: dict[str, Any] = {
        "customer_id": wanted.customer_id,
        "status": wanted.status,
        "attached": None if wanted.attached is None else str(wanted.attached),
        "number": wanted.number,
        "source": wanted.source,
        "placed_after": wanted.placed_after,
        "placed_before": wanted.placed_before,
    }
    sort = LISTINGS.choose(given, request.sort)
    if wanted.attached:
        says = "Only attached=false is served by an index: walk-in sales."
        raise UnreadableRequest(says, errors=(FieldError("attached", says),))
    found = await Order.page(_narrowed(wanted), sort, request)
    if not found.items and wanted.number is not None:
        _, other = filters.spellings(wanted.number)
        found = await Order.page(_narrowed(replace(wanted, number=other)), sort, request)
    if not found.items and wanted.customer_id is not None:
        heir = (await customers.heirs([wanted.customer_id])).get(wanted.customer_id)
        if heir is not None and heir.id != wanted.customer_id:
            return await page(principal, replace(wanted, customer_id=heir.id), request)
    await audit.seen(principal, Action.ORDER_LIST, map(_whose, found.items), given)
    return found.map(lambda order: shown(principal, mapping.shape(order)))


def _narrowed(wanted: OrderFilter) -> Filter:
    return queries.within(filters.chosen(wanted), wanted.placed_after, wanted.placed_before)


async def owners_called(text: str, most: int) -> list[str]:
    """Whose the orders are of a number, with or without the ``#`` of some shops, or of an id in any system.

    Args:
        text: Number or id.
        most: Orders that are looked at, of each.

    Returns:
        Customer ids, those of the latest orders first.
    """
    reads = queries.numbered(filters.spellings(text), most), queries.called(text, most)
    found = await asyncio.gather(*map(Order.stored().find, reads))
    return list(dict.fromkeys(row["customer_id"] for rows in found for row in rows if "customer_id" in row))


async def require_customer(customer_id: str) -> None:
    """Make sure that a customer exists before an empty list of orders is answered.

    Raises:
        NotFound: There is none.
    """
    await customers.require(customer_id)


async def update(
    principal: Principal, order_id: str, change: OrderUpdate, version: int, *, withdrawn: bool = False
) -> OrderOut:
    """Move an order to another state, attach it to a customer or detach it, or change its note.

    Args:
        principal: Who changes it.
        order_id: Which.
        change: What of it.
        version: That was read before.
        withdrawn: It is the source's word, not ours: if the source sends the order of before again, that counts.

    Raises:
        NotFound: There is none.
        StaleVersion: Somebody changed it since that version.
        Conflict: Its state allows no such move.
        InvalidInput: There is no such customer.
    """
    present = await _require(queries.by_id(order_id).filter)
    if present.version != version:
        raise StaleVersion("Somebody has changed this order since; read it again.")
    fields = change.model_dump(include=change.model_fields_set - {"version"})
    if fields.get("status") is None:
        fields.pop("status", None)
    else:
        fields |= _moved(present, fields["status"])
    if withdrawn and fields.get("status", present.status) != present.status:
        fields["content_hash"] = mapping.withdrawn_hash(present.content_hash)
    if fields.get("customer_id") is not None:
        try:
            fields["customer_id"] = await customers.current(fields["customer_id"])
        except NotFound:
            raise InvalidInput.at("/customer_id", "There is no such customer.") from None
    if fields.get("customer_id", present.customer_id) != present.customer_id:
        fields["moved_by"] = None  # by hand, from here on
    touched = {present.customer_id, fields.get("customer_id")} - {None}
    named = {"fields": ", ".join(sorted(change.model_fields_set - {"version"})), "version": version}
    async with (
        audit.by_staff(principal, Action.ORDER_UPDATE, (order_id, *sorted(filter(None, touched))), named),
        projection.changing([customer_id for customer_id in touched if customer_id]),
    ):
        await OrderVersion.stored().insert_new([version_row(present.as_stored())])
        update = queries.replaced({**fields, "changed_by": principal.id}, now())
        found = await Order.change(queries.at_version(order_id, version), update)
        if found is None:
            raise StaleVersion("Somebody has changed this order since; read it again.")
    return mapping.shape(found)


async def refund(principal: Principal, order_id: str, wanted: RefundIn, *, refund_id: str | None = None) -> Refunded:
    """Record that money was given back; once for each id of the sender's.

    Args:
        principal: Who gives it back.
        order_id: Of which order.
        wanted: The refund.
        refund_id: Its id where the sender gave none.

    Raises:
        NotFound: There is no such order.
        InvalidInput: The amounts do not add up or do not fit the currency, or the date lies in the future.
        Conflict: More than was paid, nothing was paid yet, or another refund has this id.
    """
    wanted_order = queries.by_id(order_id)
    whose = (await _require(wanted_order.filter)).customer_id if audit.is_staff(principal) else None
    async with audit.by_staff(principal, Action.ORDER_REFUND, (order_id, whose)):
        return await refunding.record(principal, wanted_order, wanted, refund_id)


async def refund_external(
    principal: Principal, source: str, external_id: str, wanted: RefundIn, *, only_money: bool = False
) -> Refunded:
    """The same, by the sending system's id of the order.

    With ``only_money`` a refund of this id is the same one if its amount is, whatever else was changed of it.
    """
    return await refunding.record(principal, queries.by_external_id(source, external_id), wanted, only_money=only_money)


async def history(principal: Principal, order_id: str, request: PageRequest) -> Page[OrderChange]:
    """One page of what changed, who changed it and when, the latest first.

    Raises:
        NotFound: There is no such order.
    """
    sort = VERSIONS.choose({"order_id": order_id}, request.sort)
    order = await _require(queries.by_id(order_id).filter)
    found = await OrderVersion.page(queries.versions_before(order_id, order.version), sort, request)
    await audit.seen(principal, Action.ORDER_HISTORY, (order_id, order.customer_id))
    if not found.items:
        return Page([], None, found.count)
    rows = [version.model_dump(by_alias=True) for version in found.items]
    later = order if request.cursor is None else await _version_after(order, rows[0]["version"])
    newest = later.model_dump(by_alias=True)
    return Page(shown(principal, changes([newest, *rows])), found.next_cursor, found.count)


async def reconcile(
    principal: Principal, source: str, start: datetime | None, end: datetime | None, request: PageRequest
) -> Page[Reconciled]:
    """What is stored of a system's orders placed in a time: enough to find what is missing or old.

    Args:
        principal: Who asks.
        source: The system.
        start: Placed at or after.
        end: Placed before.
        request: Which page.
    """
    del principal
    sort = RECONCILED.choose({"source": source, "from": start, "to": end}, request.sort)
    chosen = queries.within(queries.of_source(source), start, end)
    return (await Order.page(chosen, sort, request)).map(mapping.reconciled)


async def behind(customer_id: str, position: Position | None, limit: int) -> list[OrderOut]:
    """A customer's latest orders behind a position in time."""
    return [mapping.shape(o) for o in await Order.fetch_all(queries.customer_behind(customer_id, position, limit))]


async def latest(customer_id: str, limit: int) -> list[OrderOut]:
    """A customer's latest orders; the totals show every order that was stored before this call when it returns.

    One command, but for a customer whose totals are due at this moment.
    """
    with driver.acting_within(Role.INGEST):
        rows = await Order.stored().aggregate(queries.latest_and_due(customer_id, limit))
    orders = [row for row in rows if "due" not in row]
    if len(orders) < len(rows):
        await projection.settled(customer_id)
    return [OrderOut.model_validate(mapping.wire(row)) for row in orders]


async def refunds_behind(customer_id: str, position: Position | None, limit: int) -> list[OrderRefundOut]:
    """A customer's latest refunds behind a position in time."""
    latest = None if position is None else position[0]
    orders = await Order.fetch_all(queries.refunded_behind(customer_id, latest))
    refunds = [refund for order in orders for refund in mapping.refunds_of(order)]
    behind = [refund for refund in refunds if position is None or (refund.refund.at, refund.id) < position]
    return sorted(behind, key=lambda refund: (refund.refund.at, refund.id), reverse=True)[:limit]


def _moved(present: Order, status: Status) -> dict[str, Any]:
    """The fields of another state.

    Raises:
        Conflict: The present one allows no such move.
    """
    if status == present.status:
        return {}  # what the source said stays, too
    if not may_move(present.status, status):
        raise Conflict(f"An order that is {present.status} cannot become {status}.")
    after = after_refunds(status, present.refunded or Decimal(0), present.total)
    return {"status": after, "source_status": status if after != status else None}


async def _version_after(order: Order, version: int) -> Order | OrderVersion:
    """What an order was next. Versions that detaching made have no record, and the last record may be of the order."""
    found = await OrderVersion.fetch(queries.version_after(order.id, version))
    return order if found is None or found.version >= order.version else found


async def _require(filter_: Filter) -> Order:
    found = await Order.fetch(Query(filter_))
    if found is None:
        raise NotFound("There is no such order.")
    return found


async def _read(principal: Principal, filter_: Filter) -> OrderOut:
    order = await _require(filter_)
    await audit.seen(principal, Action.ORDER_READ, (order.id, order.customer_id))
    return shown(principal, mapping.shape(order))


def _whose(order: Order) -> str:
    return order.customer_id or order.id
