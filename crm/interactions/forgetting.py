"""What staff noted of a person: told, and removed."""

from __future__ import annotations

from typing import Final

from crm.database.paging import Position
from crm.interactions import queries
from crm.interactions.documents import Interaction
from crm.person import Person, Tell

_TOGETHER: Final = 500


async def forget(person: Person) -> None:
    """Remove all talks."""
    for customer_id in sorted(person.customers):
        await Interaction.stored().delete_many(queries.of_customer(customer_id))


async def disclose(person: Person, tell: Tell) -> None:
    """Tell all talks, the latest first."""
    for customer_id in sorted(person.customers):
        position: Position | None = None
        while rows := await Interaction.stored().find(queries.customer_behind(customer_id, position, _TOGETHER)):
            await tell("interactions", rows)
            position = (rows[-1]["occurred_at"], rows[-1]["_id"])
