"""Merges of a person: the names in what they were before, what is told of them, and their end."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Final

from crm.clock import now
from crm.customers import service as customers
from crm.database.collection import Row
from crm.database.ids import from_bytes, to_bytes
from crm.database.query import Query
from crm.ledger import names
from crm.ledger.service import Known
from crm.merges import moving, queries
from crm.merges.documents import Merge
from crm.person import Person, Remains, Tell

_DOCUMENTS: Final = ("survivor_before", "other_before", "merged")


async def person_of(customer_ids: Collection[str]) -> Person:
    """The names in what merged customers were before, as far as they are nobody else's since."""
    had = Person()
    for row in await _of(customer_ids):
        for _, document in documents(row):
            had = had.with_all(customers.named_in(document))
    if had == Person():
        return had
    return await customers.theirs_alone(had, had.customers.union(customer_ids))


async def forget(person: Person) -> None:
    """Remove the merges, and with them what the customers were before: none can be undone any more.

    Where one was undone, the other customer stays, whose history tells of both while they were one: that goes.
    """
    if person.customers:
        for row in await _of(person.customers):
            for customer_id in set(row["customer_ids"]) - person.customers:
                await _forget_told(customer_id, row["at"], row.get("undone_at", now()) + moving.grace())
        await Merge.stored().delete_many(queries.of_customers(sorted(person.customers)))


async def disclose(person: Person, tell: Tell) -> None:
    """Tell the merges, with what the customers were before."""
    if person.customers:
        await tell("merges", [{**row, **dict(documents(row))} for row in await _of(person.customers)])


async def remains(known: Known, after: str, limit: int) -> Remains:
    """Merges of people who were erased."""
    rows = await Merge.stored().find(queries.behind(after, limit))
    found = Remains(count=len(rows), last=rows[-1]["_id"] if len(rows) == limit else None)
    ids = {customer_id for row in rows for customer_id in row["customer_ids"]}
    gone = frozenset(customer_id for customer_id in ids if known.when(names.of_customer(customer_id)))
    found.people = [Person(customers=gone)] if gone else []
    return found


def documents(row: Row) -> Iterator[tuple[str, dict[str, Any]]]:
    """The customers that a merge keeps until it cannot be undone any more."""
    return ((name, from_bytes(row[name])) for name in _DOCUMENTS if name in row)


async def _forget_told(customer_id: str, since: datetime, until: datetime) -> None:
    await customers.forget_told(customer_id, since, until)
    for row in await _of([customer_id]):
        left = {
            name: to_bytes({field: value for field, value in document.items() if field != "last_change"})
            for name, document in documents(row)
            if (told := document.get("last_change")) and since <= told["at"] <= until
        }
        if left:
            await Merge.stored().update_one(queries.by_id(row["_id"]).filter, queries.documents_changed(left))


async def _of(customer_ids: Collection[str]) -> list[Row]:
    return await Merge.stored().find(Query(queries.of_customers(sorted(customer_ids))))
