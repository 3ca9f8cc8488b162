"""The ledger of consents: each is entered once, in one transaction with the customer who gave it, and never changed.

A customer's document repeats the consents, so that whoever reads the customer has them; MongoDB lets ``sales`` and
``ingest`` update customers, but no entry of the ledger. So the two are compared, and the ledger is right. What a
customer has are the entries of the own id, and of those who were merged into this one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from crm.clock import now
from crm.compared import Compared
from crm.customers import queries
from crm.customers.documents import ConsentEntry, Customer
from crm.customers.mapping import entered, repeated
from crm.database import driver
from crm.database.collection import Row, Write
from crm.database.ids import for_storage, new_id
from crm.database.query import Query, Update
from crm.errors import AlreadyExists, InvalidInput
from crm.identity import SYSTEM, Principal
from crm.person import Person, Tell

_KIND: Final = "consents"


def keyed(consents: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Consents, each with a key: those that have none get one."""
    return [{**consent, "key": consent.get("key") or new_id("con")} for consent in consents]


async def enter(principal: Principal, customer_id: str, consents: Sequence[Mapping[str, Any]], session: Any) -> None:
    """Enter what was given to a customer, within the transaction that changes the customer."""
    if consents:
        moment = now()
        rows = [for_storage(entered(customer_id, consent, principal, moment)) for consent in consents]
        await ConsentEntry.stored().insert_all(rows, session=session)


async def add(principal: Principal, customer: Customer) -> None:
    """Store a new customer with consents.

    Raises:
        AlreadyExists: A unique index refused the customer.
    """
    row = customer.as_stored()

    async def both(session: Any) -> None:
        await Customer.stored().insert(row, session=session)
        await enter(principal, customer.id, row["consents"], session)

    await driver.run_transaction(both)


async def give(
    principal: Principal, row: Row, update: Update, consents: Sequence[Mapping[str, Any]]
) -> Customer | None:
    """Change a stored customer by an update that adds consents; None where somebody has changed the customer since."""

    async def both(session: Any) -> bool:
        at_version = queries.at_version(row["_id"], row["version"])
        if not (await Customer.stored().update_one(at_version, update, session=session)).matched:
            return False
        await enter(principal, row["_id"], consents, session)
        return True

    if not await driver.run_transaction(both):
        return None
    return await Customer.fetch(queries.by_id(row["_id"]))


async def remove(customer_ids: Collection[str]) -> None:
    """Remove customers and their entries: both at once, so that nobody can give a consent in between."""
    ids = sorted(customer_ids)

    async def both(session: Any) -> None:
        await ConsentEntry.stored().delete_many(queries.entries_of(ids).filter, session=session)
        await Customer.stored().delete_many(queries.by_ids(ids).filter, session=session)

    await driver.run_transaction(both)


async def disclose(person: Person, tell: Tell) -> None:
    """Tell what the ledger has of a person."""
    await tell(_KIND, await ConsentEntry.stored().find(queries.entries_of(sorted(person.customers))))


async def compare(after: str, limit: int) -> Compared:
    """Compare the consents of the customers whose ids come next with the ledger."""
    rows, ledger = await _look(queries.consents_behind(after, limit))
    wrong = [row["_id"] for row in rows if _embedded(row) != _right(row, ledger[row["_id"]])]
    return Compared(len(rows), rows[-1]["_id"] if len(rows) == limit else None, wrong)


async def repair(customer_ids: Sequence[str]) -> list[str]:
    """Give customers what the ledger has; returns whose are wrong all the same: what no entry tells of stays."""
    rows, ledger = await _look(queries.consents_of(customer_ids))
    writes = []
    for row in rows:
        consents = [*_right(row, ledger[row["_id"]]), *_unknown(row, ledger[row["_id"]])]
        if consents != _embedded(row):
            update = queries.changed({"consents": consents}, now())
            writes.append(Write(queries.at_version(row["_id"], row["version"]), update))
    if writes:
        await Customer.stored().write_each(writes)
    return await _wrong(customer_ids)


async def take_over(customer_ids: Sequence[str]) -> list[str]:
    """Enter what customers have and the ledger does not; returns those of whom the two differ all the same."""
    rows, ledger = await _look(queries.consents_of(customer_ids))
    for row in rows:
        consents = keyed(_embedded(row))
        lacking = [consent for consent in consents if consent["key"] not in ledger[row["_id"]]]
        if lacking:
            with suppress(AlreadyExists, InvalidInput):  # the key is another's, or a rule is broken: these are left
                await give(SYSTEM, row, queries.consents_keyed(consents), lacking)
    return await _wrong(customer_ids)


async def _look(query: Query) -> tuple[list[Row], dict[str, dict[str, Row]]]:
    """Some customers, and the ledger's entries of each by key, as of one moment."""

    async def both(session: Any) -> tuple[list[Row], list[Row]]:
        rows = await Customer.stored().find(query, session=session)
        ids = [customer_id for row in rows for customer_id in _ids(row)]
        return rows, await ConsentEntry.stored().find(queries.entries_of(ids), session=session)

    rows, entries = await driver.run_transaction(both)
    owner = {customer_id: row["_id"] for row in rows for customer_id in _ids(row)}
    ledger: dict[str, dict[str, Row]] = {row["_id"]: {} for row in rows}
    for entry in sorted(entries, key=lambda one: one["at"]):
        ledger[owner[entry["customer_id"]]][entry["_id"]] = repeated(entry)
    return rows, ledger


async def _wrong(customer_ids: Sequence[str]) -> list[str]:
    rows, ledger = await _look(queries.consents_of(customer_ids))
    return [row["_id"] for row in rows if _embedded(row) != _right(row, ledger[row["_id"]])]


def _right(row: Row, ledger: Mapping[str, Row]) -> list[Row]:
    """What a customer should have: each entry once, in the customer's order, and then what is lacking."""
    present = dict.fromkeys(consent["key"] for consent in _embedded(row) if consent.get("key") in ledger)
    return [ledger[key] for key in (*present, *(key for key in ledger if key not in present))]


def _unknown(row: Row, ledger: Mapping[str, Row]) -> list[Row]:
    return [consent for consent in _embedded(row) if consent.get("key") not in ledger]


def _embedded(row: Row) -> list[Row]:
    return row.get("consents") or []


def _ids(row: Row) -> list[str]:
    """Whose entries are a customer's: the own ones, and those of who was merged into this one."""
    return [row["_id"], *(former["id"] for former in row.get("former") or ())]
