"""What can be done with pairs of customers who may be one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.customers import service as customers
from crm.customers.schemas import CustomerOut
from crm.database.paging import Page, PageRequest
from crm.duplicates import queries
from crm.duplicates.documents import DuplicatePair
from crm.duplicates.forgetting import disclose, forget
from crm.duplicates.scanning import Progress, Scanned
from crm.duplicates.scanning import scan as scan_all
from crm.duplicates.schemas import DuplicateOut, State
from crm.errors import NotFound
from crm.identity import Principal

__all__ = ["Scanned", "disclose", "forget"]  # what callers get, and of people who are forgotten
LISTINGS: Final = queries.LISTINGS


async def scan(principal: Principal, after: str, progress: Progress) -> Scanned:
    """Look for pairs among the customers whose ids come behind ``after``; empty for all.

    Interrupted, another scan goes on behind the last id that ``progress`` was told.
    """
    del principal
    return await scan_all(after, progress)


async def page(
    principal: Principal, state: State | None, customer_id: str | None, request: PageRequest
) -> Page[DuplicateOut]:
    """One page of pairs, the likeliest first: in a state, or of a customer.

    Pairs of customers who are gone since the scan are left out, so a page may have fewer items than it could.

    Raises:
        UnreadableRequest: No index serves this order.
    """
    if state is None and customer_id is None:
        state = "open"
    given = {"state": state, "customer_id": customer_id}
    sort = LISTINGS.choose(given, request.sort)
    chosen = queries.of_customer(customer_id) if customer_id is not None else queries.in_state(state or "open")
    found = await DuplicatePair.page(chosen, sort, request)
    people = await customers.some(principal, sorted({one for pair in found.items for one in pair.customer_ids}))
    await audit.seen(principal, Action.DUPLICATE_LIST, people, given)
    there = [pair for pair in found.items if people.keys() >= set(pair.customer_ids)]
    return Page([_shape(pair, people) for pair in there], found.next_cursor, found.count)


async def dismiss(principal: Principal, pair_id: str) -> DuplicateOut:
    """Say that two customers are two: they are not proposed again for the same reasons.

    Raises:
        NotFound: There is no such pair, or one of its customers is gone.
    """
    pair = await DuplicatePair.fetch(queries.by_id(pair_id))
    people = await customers.some(principal, pair.customer_ids) if pair else {}
    if pair is None or len(people) < len(pair.customer_ids):
        raise NotFound("There is no such pair.")
    if pair.state == "open":
        update = queries.dismissed(pair.reasons, principal.id, now())
        async with audit.around(principal, Action.DUPLICATE_DISMISS, pair.customer_ids):
            pair = await DuplicatePair.change(queries.by_id(pair_id).filter, update) or pair
    return _shape(pair, people)


async def close(customer_ids: Sequence[str]) -> None:
    """Propose some customers no more, who are merged; what was dismissed of them stays so, should that be undone."""
    await DuplicatePair.stored().delete_many(queries.open_of(customer_ids))


def _shape(pair: DuplicatePair, people: dict[str, CustomerOut]) -> DuplicateOut:
    return DuplicateOut(
        id=pair.id,
        customers=[people[customer_id] for customer_id in pair.customer_ids],
        reasons=pair.reasons,
        score=pair.score,
        state=pair.state,
        found_at=pair.found_at,
        seen_at=pair.seen_at,
        dismissed_at=pair.dismissed_at,
        dismissed_by=pair.dismissed_by,
    )
