"""Statements reach the store: read, compare, write what is new, whatever others write meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from crm.clock import now
from crm.customers import service as customers
from crm.customers.service import Found
from crm.database.collection import Write
from crm.errors import AlreadyExists, CrmError, Unavailable
from crm.identities import queries
from crm.identities.documents import Identity
from crm.identities.graph import Told, folded
from crm.identities.ownership import CUSTOMER, MOST_HOPS

Row = Mapping[str, Any]
#: Who loses the race to create an identity finds it the next time.
_ROUNDS: Final = 8


async def tell(told: Mapping[str, Told]) -> tuple[dict[str, Row], set[str]]:
    """Add what was told; one read where nothing of it is new.

    Returns:
        The documents afterwards, by id, and the ids of those that had to be changed.

    Raises:
        Unavailable: Too many create the same identities at once.
    """
    rows: dict[str, Row] = {}
    changed: set[str] = set()
    asked: Collection[str] = told.keys()
    for attempt in range(_ROUNDS):
        rows |= await read(asked)
        new = {key: told[key] for key in asked if rows.get(key) != folded(rows.get(key), told[key])}
        changed |= new.keys()
        # In a tenth of the time of an upsert. Whom somebody else has created meanwhile, a read may not show yet.
        created = await _create({key: new[key] for key in new.keys() - rows.keys()}) if attempt == 0 else {}
        rows |= created
        asked = new.keys() - created.keys()
        if not asked:
            return rows, changed
        await _merge({key: new[key] for key in asked})
    raise Unavailable("Too many senders tell of the same people at once; try again.", retry_after=1)


async def read(ids: Iterable[str]) -> dict[str, Row]:
    """Some identities with all that is known of them, by id."""
    asked = sorted(ids)
    found = await Identity.stored().find(queries.by_ids(asked)) if asked else []
    return {row["_id"]: row for row in found}


async def _create(new: Mapping[str, Told]) -> dict[str, Row]:
    """Store identities that nobody has seen; returns those that nobody else has stored first."""
    if not new:
        return {}
    moment = now()
    rows = {key: {**folded(None, about), "created_at": moment} for key, about in new.items()}
    refused = await Identity.stored().insert_each(list(rows.values()))
    _raise_all_but_races(refused)
    return {key: row for index, (key, row) in enumerate(rows.items()) if index not in refused}


async def _merge(new: Mapping[str, Told]) -> None:
    writes = [Write(queries.by_id(key), queries.told(about), upsert=True) for key, about in new.items()]
    _raise_all_but_races((await Identity.stored().write_each(writes)).errors)


def _raise_all_but_races(errors: Mapping[int, CrmError]) -> None:
    for error in errors.values():
        if not isinstance(error, AlreadyExists):
            raise error


async def chains(ids: Iterable[str], known: Mapping[str, Row] | None = None) -> dict[str, Row]:
    """Some identities and all that their first links lead to: one read for each link on the longest way.

    Args:
        ids: Of identities; those of customers are passed over.
        known: Documents that have been read already.
    """
    rows = dict(known or {})
    wanted = {key for key in ids if not key.startswith(CUSTOMER)}
    absent: set[str] = set()
    for _ in range(MOST_HOPS + 1):
        missing = wanted - rows.keys() - absent
        if missing:
            rows |= {row["_id"]: row for row in await Identity.stored().find(queries.names_of(sorted(missing)))}
            absent |= missing - rows.keys()
        further = {rows[key]["first"] for key in wanted & rows.keys() if "first" in rows[key]}
        further = {key for key in further if not key.startswith(CUSTOMER)}
        if further <= rows.keys() | absent and further <= wanted:
            break
        wanted |= further
    return rows


async def customers_of(rows: Mapping[str, Row], ids: Iterable[str] = (), emails: Iterable[str] = ()) -> Found:
    """Every customer to whom identities may belong, and those of some ids and addresses: one read."""
    ends = {row["first"] for row in rows.values() if "first" in row}
    return await customers.find_named(
        (key for key in {*ends, *ids} if key.startswith(CUSTOMER)),
        {row["value"] for row in rows.values() if row["kind"] == "email" and "value" in row} | set(emails),
        {(row["source"], row["value"]) for row in rows.values() if row["kind"] == "user" and "value" in row},
    )
