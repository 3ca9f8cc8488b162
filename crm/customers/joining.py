"""A merge, and undoing it, among customers: one document out of two, and two out of one, each in a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.custom_fields import service as custom_fields
from crm.customers import consents, following, merging, queries, recording
from crm.customers.documents import Customer
from crm.customers.forgetting import was_erased
from crm.customers.history import noted, returned
from crm.customers.mapping import shape, with_keys
from crm.customers.merging import Decision, Parted, Side
from crm.customers.schemas import CustomerOut
from crm.database.collection import Row
from crm.database.ids import new_id
from crm.errors import AlreadyExists, Conflict, Erased, InvalidInput, StaleVersion
from crm.identity import Principal
from crm.ledger import service as ledger


@dataclass(frozen=True, slots=True)
class Joined:
    """What a merge made of two customers, as stored.

    Attributes:
        this: The survivor before.
        other: The other before.
        merged: The survivor now.
    """

    this: Row
    other: Row
    merged: Row


async def pair(this_id: str, other_id: str, *, session: Any = None) -> tuple[Row, Row]:
    """Two customers as stored.

    Raises:
        NotFound: There is no such customer.
        Moved: It was merged into another.
        InvalidInput: There is no such other customer, or it was merged already.
    """
    this = await Customer.stored().find_one(queries.by_id(this_id), session=session)
    other = await Customer.stored().find_one(queries.by_id(other_id), session=session)
    if this is None:
        raise await following.missing(this_id)
    if other is None:
        merged = other_id in await following.heirs([other_id])
        says = "This customer was merged into another already." if merged else "There is no such customer."
        raise InvalidInput.at("/other", says)
    return this, other


def result(this: Row, plan: merging.Plan, phone_region: str | None) -> dict[str, Any]:
    """The survivor's fields as a merge sets them, keys included; None is none. Pure."""
    before = {**this, "email_key": None, "email_keys": plan.fields["email_keys"]}
    return with_keys(plan.fields, phone_region, before)


async def propose(
    principal: Principal, customer_id: str, other_id: str, *, phone_region: str | None = None
) -> tuple[CustomerOut, CustomerOut, CustomerOut, list[Decision]]:
    """Two customers, what they would be together, and why.

    Raises:
        NotFound: There is no such customer.
        InvalidInput: There is no such other customer.
        Conflict: Together they have more than one customer can have.
    """
    this, other = await pair(customer_id, other_id)
    await audit.seen(principal, Action.CUSTOMER_READ, (customer_id, other_id))
    plan = merging.plan(this, other, {}, new_id("mrg"))
    after = {**this, **result(this, plan, phone_region)}
    together = Customer.from_row({name: value for name, value in after.items() if value is not None})
    return shape(Customer.from_row(this)), shape(Customer.from_row(other)), shape(together), plan.decisions


async def join(
    principal: Principal,
    customer_ids: tuple[str, str],
    versions: tuple[int, int],
    choices: Mapping[str, Side],
    merge_id: str,
    *,
    phone_region: str | None,
    session: Any,
) -> Joined:
    """Merge two customers.

    Args:
        principal: Who merges.
        customer_ids: The survivor and the other.
        versions: Theirs, as they were looked at.
        choices: Whose value a conflict takes.
        merge_id: Of the merge.
        phone_region: Country of phone numbers without a country code.
        session: The transaction.

    Raises:
        NotFound: There is no such customer.
        Moved: It was merged into another.
        InvalidInput: There is no such other customer, or a choice names no conflict.
        StaleVersion: Somebody changed one of them since.
        Conflict: Together they have more than one customer can have.
        Erased: One of them is being erased.
    """
    this, other = await pair(*customer_ids, session=session)
    await _refuse_erased(this, other)
    if (this["version"], other["version"]) != versions:
        raise StaleVersion("Somebody has changed one of these customers since; look at the preview again.")
    fields = result(this, merging.plan(this, other, choices, merge_id), phone_region)
    moment = now()
    await recording.keep([this, other])
    # Nobody who has read the other, and is led here now, may take this for the version that they read.
    version = max(versions) + 1
    told_last = [*(this.get("consents") or ()), *(other.get("consents") or ())]  # what is new stands at the end
    told = noted({**fields, "consents": told_last}, {**this, "version": version - 1}, principal, moment)
    customers = Customer.stored()
    # First: what is unique of it is about to be the survivor's.
    await customers.delete_one(queries.at_version(other["_id"], versions[1]), session=session)
    # Not a findAndModify: of one that is refused MongoDB writes what was sent into its log.
    await customers.update_one(
        queries.at_version(this["_id"], versions[0]),
        queries.merged({**fields, **told}, version, _latest_seen(this, other), moment),
        session=session,
    )
    merged = await customers.find_one(queries.by_id(this["_id"]), session=session)
    # A transaction reads what it began with: somebody else's write has aborted it by then.
    if merged is None or merged["version"] != version:
        raise StaleVersion("Somebody has changed one of these customers since; look at the preview again.")
    return Joined(this, other, merged)


async def part(
    principal: Principal, merge_id: str, this: Row, other: Row, merged: Row, *, phone_region: str | None, session: Any
) -> Parted:
    """Undo a merge.

    Args:
        principal: Who undoes it.
        merge_id: Of the merge.
        this: The survivor before it.
        other: The other before it.
        merged: The survivor as the merge left it.
        phone_region: Country of phone numbers without a country code.
        session: The transaction.

    Raises:
        Conflict: A later merge has to be undone first, nothing would tell who the other is, or the survivor is gone.
        Erased: One of them was erased: a backup of before was restored.
    """
    await _refuse_erased(this, other)
    customers = Customer.stored()
    present = await customers.find_one(queries.by_id(this["_id"]), session=session)
    if present is None or present["former"][-1]["by"][-1] != merge_id:
        raise await _later(this["_id"], present)
    parted = merging.part(present, merged, this, other, merge_id, await _taken(other, this["_id"], session))
    parted = merging.fitted(parted, present, (await custom_fields.present()).fitting)
    moment = now()
    before = {**present, "email_key": None, "email_keys": parted.fields["email_keys"]}
    fields = with_keys(parted.fields, phone_region, before)
    await recording.keep([present])
    told = noted(fields, present, principal, moment)
    version = present["version"] + 1
    seen_at = _seen(this if _seen(present) == _seen(merged) else present)
    # First: what is unique of the other's is still the survivor's.
    await customers.update_one(
        queries.at_version(this["_id"], present["version"]),
        queries.merged({**fields, **told}, version, seen_at, moment),
        session=session,
    )
    row = parted.other
    if "email" in parted.withheld:
        row |= with_keys({"email": row["email"]}, phone_region, {**row, "email_key": None})
    given = consents.keyed(parted.since)
    row |= {"consents": [*(row.get("consents") or ()), *given]}
    row |= {"version": max(other["version"], present["version"]) + 1, "updated_at": moment}
    row |= returned(row, other, this["_id"], principal, moment)
    try:
        await customers.insert({name: value for name, value in row.items() if value is not None}, session=session)
        await consents.enter(principal, row["_id"], given, session)
    except AlreadyExists as exc:
        raise Conflict("Somebody has been given something of the other's in this moment; try again.") from exc
    return parted


async def _refuse_erased(*rows: Row) -> None:
    """Whoever is being erased must not go on as a part of somebody else, nor come back out of one."""
    known = await ledger.known()
    if known is not None and any(was_erased(known, row) for row in rows):
        raise Erased("This person was erased, or is being erased now.")


async def _later(customer_id: str, present: Row | None) -> Conflict:
    """Why the survivor is not the one that the merge made."""
    if present is not None:
        return Conflict(f"Undo the later merge {present['former'][-1]['by'][-1]} first.")
    heir = (await following.heirs([customer_id])).get(customer_id)
    return Conflict(f"Undo the later merge {heir.by[-1]} first." if heir and heir.by else "The survivor is gone.")


async def _taken(other: Row, survivor: str, session: Any) -> set[Any]:
    """What is unique of the other's and belongs to a third customer by now."""
    external: dict[str, list[str]] = {}
    for entry in other.get("external_ids") or ():
        external.setdefault(entry["source"], []).append(entry["id"])
    keys = other.get("email_keys") or []
    if not (keys or external):
        return set()
    rows = await Customer.stored().find(queries.named_by_any([], keys, external), session=session)
    thirds = [row for row in rows if row["_id"] != survivor]
    return {
        *(key for row in thirds for key in row.get("email_keys") or ()),
        *((entry["source"], entry["id"]) for row in thirds for entry in row.get("external_ids") or ()),
    }


def _seen(row: Row) -> Any:
    return row["stats"].get("last_seen_at")


def _latest_seen(*rows: Row) -> Any:
    return max((at for row in rows if (at := _seen(row))), default=None)
