"""From the ids of customers who were merged to those who are there now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crm.customers import queries
from crm.customers.documents import Customer
from crm.errors import CrmError, Moved, NotFound


@dataclass(frozen=True, slots=True)
class Heir:
    """Whom an id leads to.

    Attributes:
        id: The customer's own id.
        by: The merges that led from the id to there; none where it is the customer's own.
    """

    id: str
    by: tuple[str, ...] = ()


async def heirs(customer_ids: Iterable[str]) -> dict[str, Heir]:
    """Whom some ids lead to; those that lead to nobody are left out.

    It sees every merge that made one of these customers vanish from a read before this one.
    """
    found: dict[str, Heir] = {}
    wanted = set(customer_ids)
    for _ in range(2):  # a merge in this moment can hide its customers from one read, not from two
        asked = sorted(wanted - found.keys())
        if not asked:
            break
        for row in await Customer.stored().as_applied().find(queries.leading_on(asked)):
            found[row["_id"]] = Heir(row["_id"])
            for former in row.get("former") or ():
                found.setdefault(former["id"], Heir(row["_id"], tuple(former["by"])))
    return {customer_id: found[customer_id] for customer_id in wanted & found.keys()}


async def current(customer_id: str) -> str:
    """The id of the customer whom an id leads to.

    Raises:
        NotFound: It leads to nobody.
    """
    heir = (await heirs([customer_id])).get(customer_id)
    if heir is None:
        raise NotFound("There is no such customer.")
    return heir.id


async def missing(customer_id: str) -> CrmError:
    """Why there is no customer of an id: merged into another, or none at all."""
    heir = (await heirs([customer_id])).get(customer_id)
    if heir is None or heir.id == customer_id:
        return NotFound("There is no such customer.")
    return Moved("This customer was merged into another.", old=customer_id, new=heir.id)
