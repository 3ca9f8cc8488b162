"""Keeping what was changed of customers, before they are changed again, and reading it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

from crm.audit import service as audit
from crm.audit.service import Action
from crm.customers import history, queries
from crm.customers.documents import Customer, CustomerChange
from crm.customers.schemas import CustomerChangeOut
from crm.database.collection import Row
from crm.database.paging import COUNT_CAP, Page, PageRequest, Position, after, page_of
from crm.errors import NotFound
from crm.identity import Principal
from crm.masking import shown
from crm.person import Person, Tell

_TOGETHER: Final = 500


async def keep(rows: Iterable[Mapping[str, Any]]) -> None:
    """Copy the latest change of stored customers to where the earlier ones are. To be done before they are changed."""
    latest = [change for row in rows if (change := history.archived(row)) is not None]
    if latest:
        await CustomerChange.stored().insert_new(latest)


async def page(principal: Principal, customer_id: str, request: PageRequest) -> Page[CustomerChangeOut]:
    """One page of what was changed of a customer, the latest first.

    Raises:
        NotFound: There is no such customer.
        UnreadableRequest: Another order was asked for.
    """
    sort = queries.CHANGES.choose({"customer_id": customer_id}, request.sort)
    row = await Customer.stored().find_one(queries.last_change_of(customer_id))
    if row is None:
        raise NotFound("There is no such customer.")
    latest = history.archived(row)
    earlier = queries.changes_before(customer_id, latest["version"] if latest else 0)
    found = await CustomerChange.stored().find(after(earlier, sort, request)) if latest else []
    if latest and request.cursor is None:
        found = [latest, *found]
    page = page_of(found, sort, request, lambda change: (change["version"], change["_id"]))
    if request.count:
        count = await CustomerChange.stored().count(earlier, at_most=COUNT_CAP) + (latest is not None)
        page = Page(page.items, page.next_cursor, count)
    await audit.seen(principal, Action.CUSTOMER_HISTORY, customer_id)
    return page.map(lambda change: shown(principal, shape(change)))


async def behind(customer_id: str, position: Position | None, limit: int) -> list[CustomerChangeOut]:
    """A customer's latest changes behind a position in time."""
    found = await CustomerChange.stored().find(queries.customer_behind(customer_id, position, limit))
    row = await Customer.stored().find_one(queries.last_change_of(customer_id))
    latest = None if row is None else history.archived(row)
    if latest and (position is None or (latest["at"], latest["_id"]) < position):
        found = [latest, *(change for change in found if change["_id"] != latest["_id"])]
    return [shape(change) for change in found]


async def names_had(row: Mapping[str, Any]) -> Person:
    """The names that a stored customer ever had, as far as changes tell."""
    latest = history.archived(row)
    found = history.names_in([latest] if latest else [])
    async for changes in _each(row["_id"]):
        found = found.with_all(history.names_in(changes))
    return found


async def forget(customer_id: str) -> None:
    """Remove what was changed of a customer; the latest change goes with the customer."""
    await CustomerChange.stored().delete_many(queries.changes_of(customer_id))


async def disclose(customer_id: str, tell: Tell) -> None:
    """Tell what was changed of a customer, the latest first; the latest change is told with the customer."""
    async for changes in _each(customer_id):
        await tell("customer_changes", changes)


async def _each(customer_id: str) -> AsyncIterator[list[Row]]:
    position: Position | None = None
    while rows := await CustomerChange.stored().find(queries.customer_behind(customer_id, position, _TOGETHER)):
        yield rows
        position = (rows[-1]["at"], rows[-1]["_id"])


def shape(row: Row) -> CustomerChangeOut:
    """A change as clients see it."""
    return CustomerChangeOut.model_validate(
        {
            "id": row["_id"],
            "version": row["version"],
            "at": row["at"],
            "by": row["by"],
            "source": row.get("source"),
            "changes": [{"before": None, "after": None, **change} for change in row["changes"]],
        }
    )
