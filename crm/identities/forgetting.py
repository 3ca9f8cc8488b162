"""A person's identities: which they are, what is told of them, and their end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from crm.database import driver
from crm.database.collection import Write
from crm.identities import erasure, names, queries
from crm.identities.documents import Identity
from crm.identities.reaching import owners, reached, roots
from crm.identities.telling import Row, read
from crm.identity import Role
from crm.ledger.names import of_identity
from crm.ledger.service import Known
from crm.person import Person, Remains, Tell

_TOGETHER: Final = 1_000


async def person_of(customer_id: str) -> Person:
    """All names that belong to a customer who exists, and the addresses that only these have named."""
    with driver.acting_within(Role.INGEST):
        by_name = await roots(customer_id)
        rows = await reached(customer_id, by_name, 0)
        ids = [*by_name, *rows]
        rows |= await read(by_name)
        rows |= await _addresses_of(ids)
    return _named(rows, by_name)


def of_names(person: Person) -> Person:
    """The identities of users, browsers and addresses, whether or not anything is stored of them."""
    users = (names.of_user(*user) for user in person.users)
    visitors = (names.of_visitor(*visitor) for visitor in person.visitors)
    return Person(identities=frozenset([*users, *visitors, *(names.of_email(key) for key in person.emails)]))


async def forget(person: Person) -> None:
    """Empty the identities, and leave of each that it was erased, so that nothing is taken up again."""
    kinds: dict[str, str] = {names.of_user(*user): "user" for user in person.users}
    kinds |= {names.of_email(key): "email" for key in person.emails}
    ids = sorted(person.identities | kinds.keys())
    with driver.acting_within(Role.INGEST):
        for start in range(0, len(ids), _TOGETHER):
            together = ids[start : start + _TOGETHER]
            known = {key: row["kind"] for key, row in (await read(together)).items()}
            writes = [
                Write(queries.by_id(key), queries.erased(known.get(key) or kinds.get(key, "visitor")), upsert=True)
                for key in together
            ]
            for error in (await Identity.stored().write_each(writes)).errors.values():
                raise error
    erasure.remember(ids)


async def disclose(person: Person, tell: Tell) -> None:
    """Tell the identities: names, links and traits."""
    ids = sorted(person.identities)
    for start in range(0, len(ids), _TOGETHER):
        found = await read(ids[start : start + _TOGETHER])
        await tell("identities", [dict(row) for row in found.values()])


async def remains(known: Known, after: str, limit: int) -> Remains:
    """Identities of people who were erased of which something is kept."""
    rows = await Identity.stored().find(queries.behind(after, limit))
    found = Remains(count=len(rows), last=rows[-1]["_id"] if len(rows) == limit else None)
    gone = [row["_id"] for row in rows if "erased_at" not in row and known.when(of_identity(row["_id"]))]
    found.people = [Person(identities=frozenset(gone))] if gone else []
    return found


def _named(rows: dict[str, Row], ids: Iterable[str]) -> Person:
    there = [row for row in rows.values() if "value" in row]
    return Person(
        emails=frozenset(row["value"] for row in there if row["kind"] == "email"),
        users=frozenset((row["source"], row["value"]) for row in there if row["kind"] == "user"),
        visitors=frozenset((row["source"], row["value"]) for row in there if row["kind"] == "visitor"),
        identities=frozenset([*ids, *rows]),
    )


async def _addresses_of(ids: list[str]) -> dict[str, Row]:
    """The addresses that some identities named and that are nobody's."""
    linked = {link["to"] for row in (await read(ids)).values() for link in row.get("links", ())} - set(ids)
    others = {key: row for key, row in (await read(linked)).items() if row["kind"] == "email" and "value" in row}
    whose = await owners(others)
    return {key: row for key, row in others.items() if key not in whose}
