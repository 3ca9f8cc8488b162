"""All that belongs to several customers, with about as many reads as for one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from crm.customers import service as customers
from crm.customers.service import Found
from crm.database import driver
from crm.identities import names, queries
from crm.identities.documents import Identity
from crm.identities.ownership import MOST_HOPS, owner
from crm.identities.telling import Row, chains, customers_of
from crm.identity import Role

#: MongoDB sorts an ``$in`` by an index as long as there are no more than some 200 scans.
_TOGETHER: Final = 100
#: Identities that are read at a time. Where there are more, somebody has so many that they are looked at alone.
_MOST: Final = 5_000


async def gathered(customer_ids: Iterable[str]) -> tuple[dict[str, str], set[str]]:
    """Whose each identity of some customers is.

    Returns:
        Identity → customer, the customers' own ids included; and the customers with so many identities that some may
        be missing.
    """
    with driver.acting_within(Role.INGEST):
        asked = sorted(set(customer_ids))
        whose, claimed = _named(asked, await customers.find_named(asked))
        if claimed:
            whose |= await _not_led_elsewhere(claimed)
        crowded: set[str] = set()
        frontier = list(whose)
        for _ in range(MOST_HOPS):
            rows: dict[str, Row] = {}
            for start in range(0, len(frontier), _TOGETHER):
                together = frontier[start : start + _TOGETHER]
                found = await Identity.stored().find(queries.leading_to(together, _MOST))
                rows |= {row["_id"]: row for row in found if row["_id"] not in whose}
                if len(found) == _MOST:
                    crowded |= {whose[key] for key in together}
            fresh = await _not_elsewhere({key: whose[row["first"]] for key, row in rows.items()}, rows)
            whose |= fresh
            frontier = list(fresh)
            if not frontier:
                break
        return whose, crowded


def _named(customer_ids: Iterable[str], found: Found) -> tuple[dict[str, str], dict[str, str]]:
    """The identities that are customers' by name, and those that customers only claim."""
    whose = {customer_id: customer_id for customer_id in customer_ids}
    claimed: dict[str, str] = {}
    for customer_id in filter(found.exists, list(whose)):
        whose |= dict.fromkeys(found.former(customer_id), customer_id)
        email_keys, external, confirmed = found.names(customer_id)
        users = dict.fromkeys((names.of_user(source, user_id) for source, user_id in external), customer_id)
        (whose if confirmed else claimed).update(users)
        whose |= dict.fromkeys(map(names.of_email, email_keys), customer_id)
    return whose, claimed


async def _not_led_elsewhere(claimed: Mapping[str, str]) -> dict[str, str]:
    """Those of some users whose link does not lead to somebody else than the customer who claims them."""
    rows = await chains(claimed)
    found = await customers_of(rows, claimed)
    return {user: claimant for user, claimant in claimed.items() if owner(user, rows, found) in {None, claimant}}


async def _not_elsewhere(reached: Mapping[str, str], rows: Mapping[str, Row]) -> dict[str, str]:
    """Those of some identities that are not users of another customer by a trusted source's word."""
    users = {key: (rows[key]["source"], rows[key]["value"]) for key in reached if rows[key]["kind"] == "user"}
    if not users:
        return dict(reached)
    found = await customers.find_named(external=users.values())
    return {
        key: customer_id
        for key, customer_id in reached.items()
        if key not in users or found.called(*users[key], confirmed=True) in {None, customer_id}
    }
