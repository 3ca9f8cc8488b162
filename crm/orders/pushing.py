"""A batch of pushed orders: each stored once, whatever is repeated, reordered or sent twice at the same moment.

No transaction: each order is one document, written by one idempotent update that only succeeds on the version that
was read. What came in between is read and judged again. The customers' totals follow (``projection.py``).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

from crm.clock import ALLOWED_SKEW, now
from crm.customers import service as customers
from crm.database.collection import Row, Write
from crm.database.ids import SERVER_TIME, derived_id, for_storage, from_bson, new_id
from crm.errors import Conflict, CrmError, Erased, FieldError, InvalidInput, Unavailable
from crm.identity import Principal
from crm.ledger import names
from crm.ledger import service as ledger
from crm.ledger.service import Known
from crm.orders import mapping, projection, queries
from crm.orders.documents import Order, OrderContent, OrderVersion
from crm.orders.forgetting import without_person
from crm.orders.pushes import Change, Key, Prepared, Push, Pushed
from crm.orders.schemas import Result
from crm.orders.states import after_refunds

DEFAULT_MOST_ITEMS: Final = 1000
#: Each round loses only to somebody who made progress; forty senders of one order need some.
_ROUNDS: Final = 40
#: The same as the database allows (contract.py), said earlier and more kindly.
_CONTENT: Final = tuple(OrderContent.model_fields)


def prepare(principal: Principal, push: Push, *, most_items: int = DEFAULT_MOST_ITEMS) -> Prepared:
    """Check what needs no database.

    Raises:
        InvalidInput: Too many items, amounts that do not add up or do not fit the currency, or a date in the future.
    """
    order = push.order
    if len(order.items) > most_items:
        raise InvalidInput.at("/items", f"An order has at most {most_items:,} items.")
    if order.placed_at > now() + ALLOWED_SKEW:
        raise InvalidInput.at("/placed_at", "An order cannot be placed in the future.")
    fields = mapping.content(order)
    named = order.customer.model_dump() if order.customer else None
    fields["content_hash"] = mapping.content_hash(fields, named)
    return Prepared(
        (push.source, push.external_id), fields, order.source_updated_at, _naming(principal, push, fields), principal.id
    )


async def put_many(pushes: Sequence[Prepared], *, phone_region: str | None = None) -> list[Pushed | CrmError]:
    """Store a batch; what cannot be stored has its error in its place and does not harm its neighbours.

    Raises:
        Unavailable: The database is away; which of them were stored is unknown, and sending them again tells.
    """
    answers: dict[int, Pushed | CrmError] = {}
    open_ = dict(enumerate(pushes))
    lost_rounds = 0
    while open_ and lost_rounds < _ROUNDS:
        if lost_rounds > 1:
            await asyncio.sleep(random.uniform(0, 0.002 * min(lost_rounds, 20)))
        settled = await _round(open_, phone_region)
        answers |= settled
        open_ = {index: push for index, push in open_.items() if index not in settled}
        # Versions of one order take a round each: only those in which nobody got on are lost to others.
        lost_rounds = 0 if settled else lost_rounds + 1
    lost = Unavailable("Too many senders change this order at once; try again.", retry_after=1)
    return [answers.get(index, lost) for index in range(len(pushes))]


async def _round(open_: dict[int, Prepared], phone_region: str | None) -> dict[int, Pushed | CrmError]:
    """Read, judge and write; what is missing from the answer has to be done again."""
    answers: dict[int, Pushed | CrmError] = {}
    stored = await _stored({push.key for push in open_.values()})
    changes = _judge(open_, stored, await _repeated(open_, stored), answers)
    changes = await _with_customers(changes, answers, phone_region)
    if not changes:
        return answers
    moment = now()
    for change in changes:
        change.row = _next_row(change, moment)
    async with projection.changing(set().union(*(change.touched() for change in changes))):
        await _keep_versions(changes)
        answers |= await _write(changes)
    return answers


async def _stored(keys: set[Key]) -> dict[Key, Row]:
    by_source: dict[str, list[str]] = {}
    for source, external_id in keys:
        by_source.setdefault(source, []).append(external_id)
    found: dict[Key, Row] = {}
    for source, external_ids in by_source.items():
        for row in await Order.stored().find(queries.by_external_ids(source, external_ids)):
            found[source, row["external_id"]] = row
    return found


def _judge(
    open_: dict[int, Prepared],
    stored: dict[Key, Row],
    repeated: set[tuple[str, str]],
    answers: dict[int, Pushed | CrmError],
) -> list[Change]:
    """Which pushes have to be written; one for each order, later ones of the same order wait for the next round."""
    changes: dict[Key, Change] = {}
    for index, push in open_.items():
        present = stored.get(push.key)
        if present is not None and (settled := _settled(present, push)):
            answers[index] = Pushed(present, settled)
        elif present is not None and (present["_id"], push.fields["content_hash"]) in repeated:
            answers[index] = Pushed(present, "stale")
        elif present is not None and (refused := _refused(present, push)):
            answers[index] = refused
        elif push.key not in changes:
            changes[push.key] = Change(index, push, present)
    return list(changes.values())


def _settled(present: Row, push: Prepared) -> Result | None:
    if present["content_hash"] == push.fields["content_hash"]:
        return "unchanged"
    ours, theirs = present.get("source_updated_at"), push.source_updated_at
    return "stale" if ours and theirs and theirs < ours else None


async def _repeated(open_: dict[int, Prepared], stored: dict[Key, Row]) -> set[tuple[str, str]]:
    """Order and content of pushes that were replaced in the very moment that they name: a retry must not undo that.

    Shops' dates have whole seconds, so two states can share one. Of those the later to arrive counts, once.
    """
    same_moment = [
        (stored[push.key]["_id"], push.fields["content_hash"])
        for push in open_.values()
        if push.key in stored and push.source_updated_at
        if stored[push.key].get("source_updated_at") == push.source_updated_at
        if stored[push.key]["content_hash"] != push.fields["content_hash"]
        # The source took back this very content, and now sends it again.
        if stored[push.key]["content_hash"] != mapping.withdrawn_hash(push.fields["content_hash"])
    ]
    if not same_moment:
        return set()
    ids, hashes = ([pair[place] for pair in same_moment] for place in (0, 1))
    rows = await OrderVersion.stored().find(queries.versions_with(ids, hashes))
    dates = {row["_id"]: row.get("source_updated_at") for row in stored.values()}
    return {
        (row["order_id"], row["content_hash"]) for row in rows if row.get("source_updated_at") == dates[row["order_id"]]
    }


def _refused(present: Row, push: Prepared) -> Conflict | None:
    """Why a push contradicts what was given back of the order."""
    if present.get("refunded") is None:
        return None
    if push.fields["currency"] != present["currency"]:
        return _conflict("/currency", "Money was given back of this order in another currency.")
    if push.fields["total"] < from_bson(present["refunded"]):
        return _conflict("/total", "More has been refunded of this order than its new total.")
    return None


def _conflict(pointer: str, detail: str) -> Conflict:
    return Conflict(detail, errors=(FieldError(pointer, detail),))


async def _with_customers(
    changes: list[Change], answers: dict[int, Pushed | CrmError], phone_region: str | None
) -> list[Change]:
    known = await ledger.known()
    _leave_out_erased(changes, known)
    named = [change for change in changes if change.push.naming and not change.erased]
    namings = [change.push.naming for change in named if change.push.naming]
    found = await customers.resolve_many(namings, phone_region=phone_region) if namings else []
    for change, customer in zip(named, found, strict=True):
        if isinstance(customer, Erased):
            change.erased = True
        elif isinstance(customer, CrmError):
            answers[change.index] = customer
        else:
            change.customer_id = customer
    for change in changes:
        if change.erased:
            naming = change.push.naming
            change.for_books = without_person(change.push.fields, naming.ref if naming else None, known)
        elif change.push.naming is None and change.present is not None:
            # Attached by hand: a push that names nobody keeps it.
            change.customer_id = change.present.get("customer_id")
    await _note_merges(changes)
    return [change for change in changes if change.index not in answers]


async def _note_merges(changes: list[Change]) -> None:
    """What a push takes from a customer who was merged a moment ago, and whose orders are not moved yet.

    Undoing the merge takes it back like those that the merge itself moved.
    """
    taken = [
        (change, change.present)
        for change in changes
        if change.present and change.present.get("customer_id") not in {None, change.customer_id}
    ]
    heirs = await customers.heirs([present["customer_id"] for _, present in taken]) if taken else {}
    for change, present in taken:
        heir = heirs.get(present["customer_id"])
        if heir is not None and heir.id == change.customer_id:
            change.moved_by = list(dict.fromkeys([*(present.get("moved_by") or ()), *heir.by]))


def _leave_out_erased(changes: list[Change], known: Known | None) -> None:
    """Know the orders of people who were erased, whomever they name now: the books get them without the person."""
    for change in changes:
        if change.present is not None and change.present.get("anonymous"):
            change.erased = True
        elif known and known.latest and change.push.fields["placed_at"] <= known.latest:  # no new order costs more
            change.erased = known.when(names.of_order(*change.push.key)) is not None


def _next_row(change: Change, moment: datetime) -> Row:
    """The order as it will be stored, ``recorded_at`` apart, which the server sets."""
    push, present = change.push, change.present
    head = {"_id": new_id("ord"), "version": 1, "created_at": moment}
    row = {
        **(change.for_books or push.fields),
        "source": push.key[0],
        "external_id": push.key[1],
        "updated_at": moment,
        "changed_by": push.by,
    }
    if change.customer_id:
        row["customer_id"] = change.customer_id
    if present is not None:
        same = present.get("customer_id") == change.customer_id
        row["moved_by"] = present.get("moved_by") if same else change.moved_by
        if push.source_updated_at is None and "source_updated_at" in present:
            # Who names no version does not take it away: an older push must not come after.
            row["source_updated_at"] = present["source_updated_at"]
        head = {"_id": present["_id"], "version": present["version"] + 1, "created_at": present["created_at"]}
        if present.get("refunded") is not None:
            row |= {name: present[name] for name in ("refunds", "refunded")}
            row |= _status_after_refunds(row)
    return {**head, **row}


def _status_after_refunds(row: Row) -> Row:
    said = row["status"]
    status = after_refunds(said, from_bson(row["refunded"]), row["total"])
    return {} if status == said else {"status": status, "source_status": said}


async def _keep_versions(changes: list[Change]) -> None:
    """Write down what is about to be replaced, before it is."""
    replaced = [change.present for change in changes if change.present is not None]
    if replaced:
        await OrderVersion.stored().insert_new([version_row(row) for row in replaced])


def version_row(row: Row) -> Row:
    """A stored order as the record of its present version."""
    return {
        "_id": derived_id("orv", row["_id"], str(row["version"])),
        "order_id": row["_id"],
        "version": row["version"],
        "changed_at": row["updated_at"],
        "content_hash": row["content_hash"],
        **{name: row[name] for name in (*_CONTENT, "moved_by") if name in row},
    }


async def _write(changes: list[Change]) -> dict[int, Pushed | CrmError]:
    new = [change for change in changes if change.present is None]
    replacing = [change for change in changes if change.present is not None]
    return {**(await _create(new) if new else {}), **(await _replace(replacing) if replacing else {})}


async def _create(changes: list[Change]) -> dict[int, Pushed | CrmError]:
    """Insert, where MongoDB takes a third of the time of an upsert: it stores the batch as one, not one by one."""
    rows = [{**for_storage(change.row), "recorded_at": SERVER_TIME} for change in changes]
    errors = await Order.stored().insert_each(rows)
    return _answered(changes, errors)


async def _replace(changes: list[Change]) -> dict[int, Pushed | CrmError]:
    written = await Order.stored().write_each([_as_write(change) for change in changes])
    answers = _answered(changes, written.errors)
    if written.matched == len(changes) - len(written.errors):
        return answers
    unsure = [change for place, change in enumerate(changes) if place not in written.errors]
    for change in unsure:
        del answers[change.index]
    return answers | await _arrived(unsure)


def _answered(changes: list[Change], errors: Mapping[int, CrmError]) -> dict[int, Pushed | CrmError]:
    """The answers of a batch, by the places of those that were refused."""
    return {
        change.index: errors.get(place) or _pushed(change)
        for place, change in enumerate(changes)
        # Somebody else created it a moment ago, or is changing it now: look again.
        if not isinstance(errors.get(place), Conflict)
    }


async def _arrived(unsure: list[Change]) -> dict[int, Pushed | CrmError]:
    """Which of these replacements are stored: MongoDB counts a batch's matches, it does not name them."""
    if not unsure:
        return {}
    ids = [change.row["_id"] for change in unsure if change.row]
    rows = {row["_id"]: row for row in await Order.stored().find(queries.by_ids(ids))}
    return {
        change.index: _pushed(change)
        for change in unsure
        if change.row and _same(rows.get(change.row["_id"], {}), change.row)
    }


def _same(stored: Row, ours: Row) -> bool:
    return all(stored.get(name) == ours[name] for name in ("version", "content_hash"))


def _pushed(change: Change) -> Pushed:
    return Pushed(cast("Row", change.row), "created" if change.present is None else "updated")


def _as_write(change: Change) -> Write:
    row, present = cast("Row", change.row), cast("Row", change.present)
    return Write(
        queries.at_version(row["_id"], present["version"]),
        queries.replaced({**dict.fromkeys(_CONTENT), **_content(row), "moved_by": row["moved_by"]}, row["updated_at"]),
    )


def _content(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in (*_CONTENT, "content_hash") if name in row}


def _naming(principal: Principal, push: Push, fields: Row) -> customers.Naming | None:
    if push.order.customer is None:
        return None
    kinds = {"shipping": fields.get("shipping_address"), "billing": fields.get("billing_address")}
    addresses = tuple(for_storage({"kind": kind, **address}) for kind, address in kinds.items() if address)
    ref = push.order.customer
    # Of whom only a telephone is known is the customer of this order, however often it is pushed.
    nameless = None if ref.external_id or ref.email else derived_id("cus", push.source, push.external_id)
    return customers.Naming(push.source, ref, addresses, nameless, by=principal, at=push.order.placed_at)
