"""What can be done with two customers who are one person."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from typing import Any, Final

from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.compared import Orphaned
from crm.customers import service as customers
from crm.database import driver
from crm.database.collection import Row
from crm.database.driver import Database
from crm.database.ids import from_bytes, new_id, to_bytes
from crm.database.paging import Page, PageRequest
from crm.errors import Conflict, Forbidden, InvalidInput, NotFound
from crm.identity import Principal, Role
from crm.masking import shown
from crm.merges import moving, queries
from crm.merges.documents import Merge
from crm.merges.forgetting import disclose, forget, person_of, remains
from crm.merges.schemas import DecisionOut, MergedOut, MergeIn, MergeOut, MergePreview, PartedOut, Side
from crm.orders import service as orders

__all__ = ["disclose", "forget", "person_of", "remains"]  # of the other files, for people who are forgotten
finish_undoing = moving.finish_undoing
LISTINGS: Final = queries.LISTINGS
UNDO: Final = timedelta(days=30)
#: One document holds three customers, and MongoDB's have 16 MB.
_MOST_BYTES: Final = 15_000_000
_MAY: Final = frozenset({Role.ADMIN, Role.SALES})


async def orphaned(after: str, limit: int) -> Orphaned:
    """Of the merges whose ids come next, those of customers who neither exist nor became one with another."""
    rows = await Merge.stored().find(queries.behind(after, limit))
    named = {customer_id for row in rows for customer_id in row["customer_ids"]}
    found = {
        gone: await customers.orphans_told(Merge.stored(), queries.of_customer(gone))
        for gone in await customers.missing(named)
    }
    last = rows[-1]["_id"] if len(rows) == limit else None
    return Orphaned(len(named), last, {gone: some for gone, some in found.items() if some[0]})


async def preview(
    principal: Principal, customer_id: str, other: str, *, phone_region: str | None = None
) -> MergePreview:
    """What a customer would become if another were merged into it; nothing is changed.

    Raises:
        NotFound: There is no such customer.
        InvalidInput: There is no such other customer.
        Conflict: Together they have more than one customer can have.
    """
    _require_right(principal)
    _refuse_itself(customer_id, other)
    this, that, result, plan = await customers.plan_merge(principal, customer_id, other, phone_region=phone_region)
    decisions = [DecisionOut(field=d.field, origin=d.origin, why=d.why, conflict=d.conflict) for d in plan]
    return shown(principal, MergePreview(this=this, other=that, result=result, decisions=decisions))


async def merge(
    principal: Principal, customer_id: str, wanted: MergeIn, *, phone_region: str | None = None
) -> MergedOut:
    """Merge another customer into this one: one document from now on, and all that belonged to both.

    The same again changes nothing.

    Args:
        principal: Who merges.
        customer_id: The survivor.
        wanted: Whom to merge into it, the versions that were looked at, and whose value each conflict takes.
        phone_region: Country of phone numbers without a country code.

    Raises:
        NotFound: There is no such customer.
        InvalidInput: There is no such other customer, or a choice names no conflict.
        StaleVersion: Somebody changed one of them since.
        Conflict: A merge of one of them is being undone, or together they have more than one customer can have.
    """
    _require_right(principal)
    _refuse_itself(customer_id, wanted.other)
    with driver.acting_within(Role.ADMIN):
        row = await _made_before(customer_id, wanted.other)
        if row is None:
            ids, versions = (customer_id, wanted.other), (wanted.versions.this, wanted.versions.other)
            join = partial(_join, principal, ids, versions, wanted.choices, phone_region)
            chosen = {"chosen": ", ".join(sorted(wanted.choices)) or None}
            async with audit.around(principal, Action.CUSTOMER_MERGE, ids, chosen):
                row = await driver.run_transaction(join)
            await moving.begin(row)
    return MergedOut(**_fields(await _require(row["_id"])), customer=await _customer(principal, customer_id))


async def get(principal: Principal, merge_id: str) -> MergeOut:
    """One merge.

    Raises:
        NotFound: There is none.
    """
    _require_right(principal)
    return MergeOut(**_fields(await _require(merge_id)))


async def page(principal: Principal, customer_id: str | None, request: PageRequest) -> Page[MergeOut]:
    """One page of merges, the latest first; of a customer or of all.

    Raises:
        UnreadableRequest: No index serves this order.
    """
    _require_right(principal)
    sort = LISTINGS.choose({"customer_id": customer_id}, request.sort)
    chosen = queries.everything() if customer_id is None else queries.of_customer(customer_id)
    with driver.acting_within(Role.ADMIN):
        return (await Merge.page(chosen, sort, request)).map(lambda found: MergeOut(**_fields(found)))


async def undo(principal: Principal, merge_id: str, *, phone_region: str | None = None) -> PartedOut:
    """Make two customers of one again, within 30 days. What was edited since stays with the survivor.

    The same again changes nothing.

    Raises:
        NotFound: There is no such merge.
        Conflict: It is too late, a later merge has to be undone first, or nothing would tell who the other is.
    """
    _require_right(principal)
    with driver.acting_within(Role.ADMIN):
        present = await _require(merge_id)
        if present.state not in {"undoing", "undone"}:
            part = partial(_part, principal, merge_id, phone_region)
            async with audit.around(principal, Action.CUSTOMER_UNMERGE, present.customer_ids, {"merge": merge_id}):
                row = await driver.run_transaction(part)
            await moving.begin(row)
    found = await _require(merge_id)
    survivor, other = [await _customer(principal, customer_id) for customer_id in found.customer_ids]
    return PartedOut(**_fields(found), customer=survivor, other=other)


async def carry_on() -> None:
    """Move what is due to be moved, once; the service does it every second."""
    with driver.acting_within(Role.ADMIN):
        await moving.sweep()


def carrying_on(database: Database) -> AbstractAsyncContextManager[None]:
    """Carry on in the background with what is to be moved, within the block."""
    return moving.running(database)


async def _join(
    principal: Principal,
    customer_ids: tuple[str, str],
    versions: tuple[int, int],
    choices: dict[str, Side],
    phone_region: str | None,
    session: Any,
) -> Row:
    """The merge itself: both customers and the record, or nothing."""
    merges = Merge.stored()
    if await merges.find_one(queries.being_undone(customer_ids), session=session) is not None:
        raise Conflict("A merge of one of these customers is being undone; try again in a minute.", retry_after=30)
    merge_id, moment = new_id("mrg"), now()
    joined = await customers.join(
        principal, customer_ids, versions, choices, merge_id, phone_region=phone_region, session=session
    )
    before = {
        "survivor_before": to_bytes(joined.this),
        "other_before": to_bytes(joined.other),
        "merged": to_bytes(joined.merged),
    }
    if sum(map(len, before.values())) > _MOST_BYTES:
        raise Conflict("Together these customers are larger than what can be stored of a merge.")
    row: Row = {
        "_id": merge_id,
        "customer_ids": list(customer_ids),
        "state": "moving",
        "at": moment,
        "by": principal.id,
        "by_name": principal.name,
        "undo_until": moment + UNDO,
        **before,
        "settles_at": moment + moving.grace(),
        "due_at": moment,
        "claimed_until": moment + moving.CLAIM,
    }
    await merges.insert(row, session=session)
    return row


async def _part(principal: Principal, merge_id: str, phone_region: str | None, session: Any) -> Row:
    """The opposite: both customers and the record, or nothing."""
    merges, moment = Merge.stored(), now()
    row = await merges.find_one(queries.by_id(merge_id), session=session)
    if row is None:
        raise NotFound("There is no such merge.")
    if row["state"] in {"undoing", "undone"}:
        return row  # somebody else was faster
    if "undo_until" not in row or row["undo_until"] < moment:
        raise Conflict("A merge can be undone for 30 days.")
    this, other, merged = (from_bytes(row[name]) for name in ("survivor_before", "other_before", "merged"))
    parted = await customers.part(principal, merge_id, this, other, merged, phone_region=phone_region, session=session)
    update = queries.undone(principal.id, parted.kept, parted.withheld, moment, moment + moving.grace())
    await merges.update_one(queries.in_state(merge_id, row["state"]), update, session=session)
    return {**row, "state": "undoing", "settles_at": moment + moving.grace()}


async def _made_before(customer_id: str, other: str) -> Row | None:
    """The merge that an earlier run of the same request has made."""
    heir = (await customers.heirs([other])).get(other)
    if heir is None or not heir.by or heir.id != customer_id:
        return None
    return await Merge.stored().find_one(queries.by_id(heir.by[-1]))


async def _require(merge_id: str) -> Merge:
    with driver.acting_within(Role.ADMIN):
        found = await Merge.fetch(queries.by_id(merge_id))
    if found is None:
        raise NotFound("There is no such merge.")
    return found


async def _customer(principal: Principal, customer_id: str) -> Any:
    """A customer with the totals of all that is theirs by now."""
    await orders.settled(customer_id)
    return await customers.get(principal, customer_id)


def _require_right(principal: Principal) -> None:
    """MongoDB sees the service, not who asks: this is where it is decided.

    Raises:
        Forbidden: The role may not.
    """
    if principal.role not in _MAY:
        raise Forbidden("Your role may not do this.")


def _refuse_itself(customer_id: str, other: str) -> None:
    if customer_id == other:
        raise InvalidInput.at("/other", "A customer cannot be merged with itself.")


def _fields(found: Merge) -> dict[str, Any]:
    survivor, other = found.customer_ids
    return {
        "id": found.id,
        "survivor_id": survivor,
        "other_id": other,
        "state": found.state,
        "at": found.at,
        "by": found.by,
        "by_name": found.by_name,
        "undo_until": found.undo_until,
        "undone_at": found.undone_at,
        "undone_by": found.undone_by,
        "kept": found.kept or [],
        "withheld": found.withheld or [],
    }
