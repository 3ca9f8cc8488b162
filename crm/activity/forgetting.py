"""What a person does at present: told, and removed. It is told again from events, and those are gone."""

from __future__ import annotations

from crm.activity import queries
from crm.activity.documents import Activity
from crm.person import Person, Tell


async def forget(person: Person) -> None:
    """Remove it."""
    if person.customers:
        await Activity.stored().delete_many(queries.of_customers(sorted(person.customers)).filter)


async def disclose(person: Person, tell: Tell) -> None:
    """Tell it: the last visit, what was looked at, the cart."""
    if person.customers:
        await tell("activity", await Activity.stored().find(queries.of_customers(sorted(person.customers))))
