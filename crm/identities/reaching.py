"""Which identities are a customer's, and whose an identity is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from crm.compared import Orphaned
from crm.customers import service as customers
from crm.database import driver
from crm.identities import names, queries
from crm.identities.documents import Identity
from crm.identities.ownership import MOST_HOPS, owner
from crm.identities.telling import Row, chains, customers_of
from crm.identity import Role

#: MongoDB sorts an ``$in`` by an index as long as there are no more than some 200 scans.
_TOGETHER: Final = 100


async def owners(ids: Iterable[str]) -> dict[str, str]:
    """The customers to whom identities belong; those of nobody are left out.

    Args:
        ids: Of identities, and of customers, who own themselves.
    """
    asked = set(ids)
    if not asked:
        return {}
    with driver.acting_within(Role.INGEST):
        rows = await chains(asked)
        found = await customers_of(rows, asked)
    whose = {key: owner(key, rows, found) for key in asked}
    return {key: customer_id for key, customer_id in whose.items() if customer_id}


async def orphaned(after: str, limit: int) -> Orphaned:
    """The identities that lead to nobody who exists, of those whose customers' ids come next.

    One that leads to somebody who is gone may be another customer's, who is called so by a trusted source.
    """
    with driver.acting_within(Role.INGEST):
        rows = await Identity.stored().find(queries.leading_behind(after, limit))
        named = {row["first"] for row in rows}
        found: dict[str, tuple[int, list[str]]] = {}
        for gone in await customers.missing(named):
            ids = [row["_id"] for row in await Identity.stored().find(queries.leading_to([gone], 0))]
            whose = await owners(ids)
            if nobodys := [key for key in ids if key not in whose]:
                found[gone] = len(nobodys), nobodys
    return Orphaned(len(named), rows[-1]["first"] if len(rows) == limit else None, found)


async def roots(customer_id: str) -> tuple[list[str], dict[str, str]]:
    """The ids of a customer, the own one first, and the identities that are theirs by name: id → kind.

    The own one is that of whom an id leads to, where a customer was merged.
    """
    found = await customers.find_named([customer_id])
    current = found.current(customer_id)
    if current is None:
        return [customer_id], {}
    customer_id = current
    ids = [customer_id, *found.former(customer_id)]
    email_keys, external, confirmed = found.names(customer_id)
    users = [names.of_user(source, user_id) for source, user_id in external]
    if not confirmed:
        # Only claimed: a link that leads elsewhere goes before.
        whose = await owners(users)
        users = [user for user in users if whose.get(user, customer_id) == customer_id]
    return ids, dict.fromkeys(users, "user") | dict.fromkeys(map(names.of_email, email_keys), "email")


async def reached(customer_ids: Sequence[str], by_name: Iterable[str], limit: int) -> dict[str, Row]:
    """The identities whose first links lead to a customer or their names, at most ``limit``; 0 is all.

    Args:
        customer_ids: The customer's, the own one first.
        by_name: The identities that are theirs by name.
        limit: How many are enough.
    """
    found: dict[str, Row] = {}
    frontier = [*customer_ids, *by_name]
    for _ in range(MOST_HOPS):
        rows: dict[str, Row] = {}
        for start in range(0, len(frontier), _TOGETHER):
            query = queries.leading_to(frontier[start : start + _TOGETHER], limit)
            rows |= {row["_id"]: row for row in await Identity.stored().find(query)}
        known = {*by_name, *found}
        new = await _not_elsewhere(customer_ids[0], {key: row for key, row in rows.items() if key not in known})
        found |= new
        frontier = [key for key, row in new.items() if row["kind"] != "visitor"]  # nothing ever leads to a browser
        if not frontier or 0 < limit <= len(found):
            break
    return dict(list(found.items())[:limit]) if limit else found


async def _not_elsewhere(customer_id: str, rows: dict[str, Row]) -> dict[str, Row]:
    """Those of some identities that are not users of another customer by a trusted source's word."""
    users = {(row["source"], row["value"]): key for key, row in rows.items() if row["kind"] == "user"}
    found = await customers.find_named(external=users)
    elsewhere = {key for user, key in users.items() if found.called(*user, confirmed=True) not in {None, customer_id}}
    return {key: row for key, row in rows.items() if key not in elsewhere}
