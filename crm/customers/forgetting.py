"""A customer's own record: whom it names, what is told of it, and its end."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from crm import contact
from crm.clock import now
from crm.customers import claiming, consents, following, queries, reasons, recording
from crm.customers.documents import Customer
from crm.customers.schemas import CustomerCreate
from crm.errors import Erased
from crm.ledger import service as ledger
from crm.ledger.service import Known
from crm.person import Person, Remains, Tell


async def person_of(customer_id: str) -> Person:
    """The names that a customer's record has, and those that it had and that are nobody else's since.

    Raises:
        NotFound: There is none of that id.
        Moved: It was merged into another.
    """
    row = await Customer.stored().find_one(queries.by_id(customer_id))
    if row is None:
        raise await following.missing(customer_id)
    named = named_in(row)
    return named.with_all(await theirs_alone(await recording.names_had(row), named.customers))


async def forget(person: Person) -> None:
    """Remove the records, what was changed of them, and the consents."""
    if person.customers:
        # First: it is found by the record's id, which nothing tells once that is gone.
        for customer_id in sorted(person.customers):
            await recording.forget(customer_id)
        await consents.remove(person.customers)


async def disclose(person: Person, tell: Tell) -> None:
    """Tell the records: profile, addresses, totals, what was changed, consents; those as the ledger has them."""
    for customer_id in sorted(person.customers):
        if row := await Customer.stored().find_one(queries.by_id(customer_id)):
            await tell("customer", [{name: value for name, value in row.items() if name != "consents"}])
    for customer_id in sorted(person.customers):
        await recording.disclose(customer_id, tell)
    await consents.disclose(person, tell)


async def remains(known: Known, after: str, limit: int) -> Remains:
    """Customers who were erased and are there all the same: somebody restored an old copy.

    Who goes by a name of theirs and came after the erasure is somebody who came back, and stays.
    """
    rows = await Customer.stored().find(queries.behind(after, limit))
    found = Remains(count=len(rows), last=rows[-1]["_id"] if len(rows) == limit else None)
    for row in rows:
        if was_erased(known, row):
            found.people.append(named_in(row))
    return found


def was_erased(known: Known, row: Mapping[str, Any]) -> bool:
    """Whether a stored customer is somebody who was erased, and not somebody who goes by their names since."""
    named = named_in(row)
    own, names = Person(customers=named.customers), replace(named, customers=frozenset())
    return bool(known.covers(own, None) or known.covers(names, row["created_at"]))


async def refuse_erased(new: CustomerCreate, phone_region: str | None) -> None:
    """Refuse to create somebody from a record that does not say how old it is.

    Raises:
        Erased: It names somebody who was erased.
    """
    known = await ledger.known()
    if known is None:
        return
    phone = contact.phone_name(new.phone, phone_region) if new.phone else None
    person = Person(
        emails=frozenset([contact.email_key(new.email)] if new.email else ()),
        phones=frozenset([phone] if phone else ()),
        users=frozenset((external.source, external.id) for external in new.external_ids),
    )
    if known.covers(person, None):
        raise Erased


async def is_named_in(customer_id: str, text: str) -> bool:
    """Whether a text tells of a customer (``reasons``).

    Raises:
        NotFound: There is none of that id.
        Moved: It was merged into another.
    """
    row = await Customer.stored().find_one(queries.by_id(customer_id))
    if row is None:
        raise await following.missing(customer_id)
    return reasons.tells_of(text, row)


async def leave(customer_id: str, source: str) -> None:
    """Know a customer no longer by a system's ids, nor what was changed: the ids stand in it."""
    await recording.forget(customer_id)
    await Customer.stored().update_one(*queries.without_system(customer_id, source, now()))


async def of_system_behind(source: str, after: str, limit: int) -> tuple[list[tuple[str, bool]], str | None]:
    """Customers whom a system knows, of those whose ids come next, and whether another system knows them, too.

    Returns:
        Those, and the last id that was looked at; None when there is nothing behind.
    """
    rows = await Customer.stored().find(queries.behind(after, limit))
    found = []
    for row in rows:
        systems = {external["source"] for external in row.get("external_ids") or ()}
        if source in systems:
            found.append((row["_id"], systems != {source}))
    return found, rows[-1]["_id"] if len(rows) == limit else None


async def with_phone(key: str, source: str) -> list[str]:
    """The customers with a telephone of whom nothing is known that contradicts: no address, no id of that system."""
    rows = await Customer.stored().find(queries.named_by_phone_keys([key]))
    named = ((row["_id"], named_in(row)) for row in rows)
    return [id_ for id_, own in named if not own.emails and source not in {system for system, _ in own.users}]


async def theirs_alone(had: Person, customer_ids: Collection[str]) -> Person:
    """Of the names that a customer once had, those that are nobody else's by now.

    An address that a colleague corrected stands in what came before: it goes, too, unless somebody has it now.
    """
    found = await claiming.find(email_keys=had.emails, external=had.users)
    others = [named_in(other) for customer_id, other in found.rows.items() if customer_id not in customer_ids]
    return Person(
        emails=had.emails.difference(*(other.emails for other in others)),
        phones=had.phones,
        users=had.users.difference(*(other.users for other in others)),
        called=had.called,
    )


def named_in(row: Mapping[str, Any]) -> Person:
    """The names of a stored customer, the ids included that lead to it."""
    called = contact.full_name(row.get("first_name"), row.get("last_name"))
    phone = row.get("phone_key") or contact.phone_name(row.get("phone") or "")
    return Person(
        customers=frozenset([row["_id"], *(former["id"] for former in row.get("former") or ())]),
        emails=frozenset(row.get("email_keys") or ()),
        phones=frozenset([phone] if phone else ()),
        users=frozenset((external["source"], external["id"]) for external in row.get("external_ids") or ()),
        called=frozenset([called] if called else ()),
    )
