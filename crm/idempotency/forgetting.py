"""Answers that were kept for repeats and speak of a person: told, and removed."""

from __future__ import annotations

from crm.idempotency import queries
from crm.idempotency.documents import KeyedRequest
from crm.ledger import names
from crm.ledger.service import Known
from crm.person import Person, Remains, Tell


async def forget(person: Person) -> None:
    """Remove the answers."""
    for customer_id in sorted(person.customers):
        await KeyedRequest.stored().delete_many(queries.of_customer(customer_id))


async def disclose(person: Person, tell: Tell) -> None:
    """Tell the answers."""
    for customer_id in sorted(person.customers):
        await tell("kept_answers", await KeyedRequest.stored().find(queries.answers_for(customer_id)))


async def remains(known: Known, after: str, limit: int) -> Remains:
    """Answers that speak of somebody who was erased."""
    rows = await KeyedRequest.stored().find(queries.behind(after, limit))
    found = Remains(count=len(rows), last=rows[-1]["_id"] if len(rows) == limit else None)
    ids = {row["customer_id"] for row in rows if "customer_id" in row}
    gone = frozenset(customer_id for customer_id in ids if known.when(names.of_customer(customer_id)))
    found.people = [Person(customers=gone)] if gone else []
    return found
