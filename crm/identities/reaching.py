"""Which identities are a customer's, and whose an identity is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

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


async def roots(customer_id: str) -> dict[str, str]:
    """The identities that belong to a customer by name: id → kind."""
    found = await customers.find_named([customer_id])
    if not found.exists(customer_id):
        return {}
    email_keys, external, confirmed = found.names(customer_id)
    users = [names.of_user(source, user_id) for source, user_id in external]
    if not confirmed:
        # Only claimed: a link that leads elsewhere goes before.
        whose = await owners(users)
        users = [user for user in users if whose.get(user, customer_id) == customer_id]
    return dict.fromkeys(users, "user") | dict.fromkeys(map(names.of_email, email_keys), "email")


async def reached(customer_id: str, by_name: Iterable[str], limit: int) -> dict[str, Row]:
    """The identities whose first links lead to a customer or their names, at most ``limit``; 0 is all."""
    found: dict[str, Row] = {}
    frontier = [customer_id, *by_name]
    for _ in range(MOST_HOPS):
        rows: dict[str, Row] = {}
        for start in range(0, len(frontier), _TOGETHER):
            query = queries.leading_to(frontier[start : start + _TOGETHER], limit)
            rows |= {row["_id"]: row for row in await Identity.stored().find(query)}
        known = {*by_name, *found}
        new = await _not_elsewhere(customer_id, {key: row for key, row in rows.items() if key not in known})
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
