"""Pairs that a person is in: told without the other, and removed. They hold ids and reasons, nothing else."""

from __future__ import annotations

from crm.database.collection import Row
from crm.database.query import Query
from crm.duplicates import queries
from crm.duplicates.documents import DuplicatePair
from crm.person import Person, Tell


async def forget(person: Person) -> None:
    """Remove the pairs."""
    if person.customers:
        await DuplicatePair.stored().delete_many(queries.of_customers(sorted(person.customers)))


async def disclose(person: Person, tell: Tell) -> None:
    """Tell the pairs: that the person may be in here twice, and why. Who else it may be is not theirs to know."""
    if person.customers:
        rows = await DuplicatePair.stored().find(Query(queries.of_customers(sorted(person.customers))))
        await tell("duplicate_pairs", [{**row, "customer_ids": _own(row, person)} for row in rows])


def _own(row: Row, person: Person) -> list[str]:
    return [customer_id for customer_id in row["customer_ids"] if customer_id in person.customers]
