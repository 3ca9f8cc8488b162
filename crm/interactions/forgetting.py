"""What staff noted of a person: told, and removed; and what of a person they noted with others about their orders."""

from __future__ import annotations

from typing import Final

from crm import removing
from crm.clock import now
from crm.database.collection import Row, Write
from crm.database.paging import Position
from crm.database.query import Query
from crm.interactions import queries
from crm.interactions.documents import Interaction
from crm.ledger import service as ledger
from crm.ledger.service import Known
from crm.person import Person, Tell

_TOGETHER: Final = 500
#: What staff wrote, and how long it may be.
_TEXTS: Final = {"subject": 200, "body": 10_000, "outcome": 200}


async def forget(person: Person) -> None:
    """Remove all talks, and what tells of the person from talks with others that mention an order of theirs."""
    for customer_id in sorted(person.customers):
        await Interaction.stored().delete_many(queries.of_customer(customer_id))
    known = await ledger.known()
    for order_id in sorted(person.orders):
        rows = await Interaction.stored().find(Query(queries.mentioning("order", order_id)))
        writes = [
            Write(queries.at_version(row["_id"], row["version"]), queries.changed(fields, now()))
            for row in rows
            if (fields := _without(row, person, known))
        ]
        if writes:
            await Interaction.stored().write_each(writes)


def _without(row: Row, person: Person, known: Known | None) -> dict[str, str]:
    """What is left of the texts of a talk that tell of a person, or of anybody who was erased."""
    told = {name: row[name] for name in _TEXTS if row.get(name)}
    if known is not None:
        person = person.with_all(known.among("\n".join(told.values())))
    left = {name: removing.without(text, person)[: _TEXTS[name]] for name, text in told.items()}
    return {name: text for name, text in left.items() if text != told[name]}


async def disclose(person: Person, tell: Tell) -> None:
    """Tell all talks, the latest first."""
    for customer_id in sorted(person.customers):
        position: Position | None = None
        while rows := await Interaction.stored().find(queries.customer_behind(customer_id, position, _TOGETHER)):
            await tell("interactions", rows)
            position = (rows[-1]["occurred_at"], rows[-1]["_id"])
