"""Keeping what was changed of customers, before they are changed again, and reading it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from crm.audit import service as audit
from crm.audit.service import Action
from crm.customers import following, history, queries
from crm.customers.documents import Customer, CustomerChange
from crm.customers.schemas import CustomerChangeOut
from crm.database.collection import Row
from crm.database.paging import COUNT_CAP, Page, PageRequest, Position, cursor_position, page_of
from crm.identity import Principal
from crm.masking import shown
from crm.person import Person, Tell

_TOGETHER: Final = 500

_LATEST_FIRST: Final = "-at"


async def keep(rows: Iterable[Mapping[str, Any]]) -> None:
    """Copy the latest change of stored customers to where the earlier ones are. To be done before they are changed."""
    latest = [change for row in rows if (change := history.archived(row)) is not None]
    if latest:
        await CustomerChange.stored().insert_new(latest)


async def page(principal: Principal, customer_id: str, request: PageRequest) -> Page[CustomerChangeOut]:
    """One page of what was changed of a customer, and before of those who were merged into this one; the latest first.

    Raises:
        NotFound: There is no such customer.
        UnreadableRequest: Another order was asked for.
    """
    sort = queries.CHANGES.choose({"customer_id": customer_id}, request.sort)
    row = await Customer.stored().find_one(queries.last_change_of(customer_id))
    if row is None:
        raise await following.missing(customer_id)
    found = await _behind(row, sort, cursor_position(request.cursor, sort), request.limit + 1)
    page = page_of(found, sort, request, _position)
    if request.count:
        page = replace(page, count=await _count(row))
    await audit.seen(principal, Action.CUSTOMER_HISTORY, customer_id)
    return page.map(lambda change: shown(principal, shape(change)))


async def behind(customer_id: str, position: Position | None, limit: int) -> list[CustomerChangeOut]:
    """A customer's latest changes behind a position in time."""
    row = await Customer.stored().find_one(queries.last_change_of(customer_id))
    return [shape(change) for change in await _behind(row, _LATEST_FIRST, position, limit)] if row else []


async def names_had(row: Mapping[str, Any]) -> Person:
    """The names that a stored customer ever had, or who was merged into this one, as far as changes tell."""
    latest = history.archived(row)
    found = history.names_in([latest] if latest else [])
    for customer_id in _ids(row):
        async for changes in _each(customer_id):
            found = found.with_all(history.names_in(changes))
    return found


async def forget(customer_id: str) -> None:
    """Remove what was changed of a customer; the latest change goes with the customer."""
    await CustomerChange.stored().delete_many(queries.changes_of([customer_id]))


async def forget_told(customer_id: str, since: datetime, until: datetime) -> None:
    """Remove what was changed of a customer in that time, who was one with somebody else then."""
    await Customer.stored().update_one(*queries.without_last_change(customer_id, since, until))
    await CustomerChange.stored().delete_many(queries.changes_between(customer_id, since, until))


async def disclose(customer_id: str, tell: Tell) -> None:
    """Tell what was changed of a customer, the latest first; the latest change is told with the customer."""
    async for changes in _each(customer_id):
        await tell("customer_changes", changes)


async def _each(customer_id: str) -> AsyncIterator[list[Row]]:
    position: Position | None = None
    while rows := await CustomerChange.stored().find(
        queries.changes_behind([customer_id], "", _LATEST_FIRST, position, _TOGETHER)
    ):
        yield rows
        position = _position(rows[-1])


async def _behind(row: Row, sort: str, position: Position | None, limit: int) -> list[Row]:
    """The latest changes behind a position; the very latest is kept in the customer, if there is any at all."""
    latest = history.archived(row)
    if latest is None:
        return []
    query = queries.changes_behind(_ids(row), latest["_id"], sort, position, limit)
    found = await CustomerChange.stored().find(query)
    if position is None or _position(latest) < position:
        found = sorted([latest, *found], key=_position, reverse=True)[:limit]
    return found


async def _count(row: Row) -> int:
    latest = history.archived(row)
    if latest is None:
        return 0
    return 1 + await CustomerChange.stored().count(queries.changes_but(_ids(row), latest["_id"]), at_most=COUNT_CAP)


def _position(change: Row) -> Position:
    return change["at"], change["_id"]


def _ids(row: Mapping[str, Any]) -> list[str]:
    """Whose changes are a customer's: the own ones, and those of who was merged into this one."""
    return [row["_id"], *(former["id"] for former in row.get("former") or ())]


def shape(row: Row) -> CustomerChangeOut:
    """A change as clients see it."""
    return CustomerChangeOut.model_validate(
        {
            "id": row["_id"],
            "customer_id": row["customer_id"],
            "version": row["version"],
            "at": row["at"],
            "by": row["by"],
            "source": row.get("source"),
            "changes": [{"before": None, "after": None, **change} for change in row["changes"]],
        }
    )
