"""Pairs that a person is in: told without the other, and removed. They hold ids and reasons, nothing else."""

from __future__ import annotations

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
    for customer_id in sorted(person.customers):
        rows = await DuplicatePair.stored().find(Query(queries.of_customer(customer_id)))
        await tell("duplicate_pairs", [{**row, "customer_ids": [customer_id]} for row in rows])
