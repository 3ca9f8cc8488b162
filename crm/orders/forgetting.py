"""A person's orders: whose they are, what is told of them, and what the books keep when the person is forgotten.

Amounts, items, currency, dates and numbers stay, and of an address its country, for taxes. The customer, the rest of
the addresses, notes and the reasons of refunds go, and from titles of items (an engraving) whoever is named there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from crm import contact, removing
from crm.clock import now
from crm.customers.schemas import CustomerRef
from crm.database.collection import Row, Write
from crm.ledger import names
from crm.ledger import service as ledger
from crm.ledger.service import Known
from crm.orders import projection, queries
from crm.orders.documents import Order, OrderVersion
from crm.person import Person, Remains, Tell

_TOGETHER: Final = 500
_ADDRESSES: Final = ("shipping_address", "billing_address")
_LONGEST_TITLE: Final = 200


async def person_of(customer_ids: Iterable[str]) -> Person:
    """The orders of customers, by our ids and by their sources'."""
    rows: list[Row] = []
    for customer_id in sorted(customer_ids):
        rows += await Order.stored().find(queries.names_of_customer(customer_id))
    return _named(rows)


async def pushed_as(named: Iterable[tuple[str, str]]) -> Person:
    """Those of some orders that are here, by their sources' ids."""
    rows: list[Row] = []
    for source, external_id in sorted(named):
        row = await Order.stored().find_one(queries.by_external_id(source, external_id))
        rows += [row] if row else []
    return _named(rows)


async def of_source_behind(source: str, after: str, limit: int) -> list[Row]:
    """A system's orders whose ids as that system calls them come next: whose they are, and what they are called."""
    return await Order.stored().find(queries.of_source_behind(source, after, limit))


async def forget(person: Person) -> None:
    """Leave the orders to the books, and what they were before."""
    known = await ledger.known()
    for ids in _parts(sorted(person.orders)):  # first: the addresses tell names, and go below
        for stored, wanted in ((Order, queries.whole(ids)), (OrderVersion, queries.whole_versions(ids))):
            rows = await stored.stored().find(wanted)
            writes = [
                Write(*queries.retitled(row["_id"], new)) for row in rows if (new := _new_titles(row, person, known))
            ]
            if writes:
                await stored.stored().write_each(writes)
    for customer_id in sorted(person.customers):
        await projection.detach(customer_id)
    for ids in _parts(sorted(person.orders)):
        rows = await Order.stored().find(queries.traces_of(ids))
        traced = {row["_id"]: row.get("customer_id") for row in rows if has_traces(row)}
        if traced:
            # Of somebody who stays, totals follow.
            async with projection.changing({owner for owner in traced.values() if owner}):
                await Order.stored().update_many(queries.by_ids(list(traced)).filter, queries.detached(now()))
        await OrderVersion.stored().update_many(queries.versions_of_orders(ids), queries.versions_detached())


async def disclose(person: Person, tell: Tell) -> None:
    """Tell the orders, and what they were before."""
    for ids in _parts(sorted(person.orders)):
        await tell("orders", await Order.stored().find(queries.whole(ids)))
    for ids in _parts(sorted(person.orders)):
        await tell("order_versions", await OrderVersion.stored().find(queries.whole_versions(ids)))


async def remains(known: Known, after: str, limit: int) -> Remains:
    """Orders of people who were erased that still, or again, tell of them."""
    rows = await Order.stored().find(queries.traces_behind(after, limit))
    found = Remains(count=len(rows), last=rows[-1]["_id"] if len(rows) == limit else None)
    gone = [row for row in rows if has_traces(row) and known.when(names.of_order(row["source"], row["external_id"]))]
    found.people = [_named(gone)] if gone else []
    return found


def has_traces(row: Mapping[str, Any]) -> bool:
    """Whether a stored order, or one to be stored, tells of a person."""
    addresses = (row.get(name) or {} for name in _ADDRESSES)
    refunds = row.get("refunds") or ()
    return bool(
        row.get("customer_id")
        or row.get("note")
        or any(address.keys() - {"country"} for address in addresses)
        or any(refund.get("reason") for refund in refunds)
    )


def without_person(fields: Mapping[str, Any], ref: CustomerRef | None, known: Known | None) -> Row:
    """The fields of a pushed order that the books keep.

    Args:
        fields: Of the order.
        ref: Whom it names.
        known: Who was erased.
    """
    items = [dict(item) for item in fields["items"]]
    for place, (_, title) in _new_titles(fields, _named_by(ref), known).items():
        items[place]["title"] = title
    kept = {name: value for name, value in fields.items() if name not in {"note", "customer_id", *_ADDRESSES}}
    kept |= {"anonymous": True, "items": items}
    for name in _ADDRESSES:
        country = (fields.get(name) or {}).get("country")
        kept |= {name: {"country": country}} if country else {}
    return kept


def _named_by(ref: CustomerRef | None) -> Person:
    if ref is None:
        return Person()
    called, phone = contact.full_name(ref.first_name, ref.last_name), ref.phone and contact.phone_name(ref.phone)
    return Person(
        emails=frozenset([contact.email_key(ref.email)] if ref.email else ()),
        phones=frozenset([phone] if phone else ()),
        called=frozenset([called] if called else ()),
    )


def _new_titles(order: Mapping[str, Any], person: Person, known: Known | None) -> dict[int, tuple[str, str]]:
    """The titles of items that tell of a person, of whom the order's addresses name, or of anybody who was erased.

    Returns:
        Place → the title as it is, and what is left of it.
    """
    addresses = [order.get(name) or {} for name in _ADDRESSES]
    called = {name for address in addresses if (name := contact.full_name(address.get("name")))}
    phones = {name for address in addresses if (name := contact.phone_name(address.get("phone") or ""))}
    person = person.with_all(Person(called=frozenset(called), phones=frozenset(phones)))
    found = {}
    for place, title in enumerate(item["title"] for item in order["items"]):
        left = removing.without(title, person if known is None else person.with_all(known.among(title)))
        if left != title:
            found[place] = title, left[:_LONGEST_TITLE]
    return found


def _named(rows: Iterable[Row]) -> Person:
    found = list(rows)
    return Person(
        orders=frozenset(row["_id"] for row in found),
        pushed=frozenset((row["source"], row["external_id"]) for row in found),
    )


def _parts(ids: list[str]) -> Iterable[list[str]]:
    return (ids[start : start + _TOGETHER] for start in range(0, len(ids), _TOGETHER))
