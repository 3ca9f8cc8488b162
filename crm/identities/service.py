"""What can be done with identities: who is behind a browser, a user id or an address."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from crm.clock import now
from crm.customers import service as customers
from crm.database import driver
from crm.database.collection import Write
from crm.identities import erasure, names, people, queries
from crm.identities.belonging import Belonging, Linked, links_of
from crm.identities.documents import Identity
from crm.identities.erasure import erased, watching
from crm.identities.gathering import gathered
from crm.identities.graph import Statements, named
from crm.identities.messages import Saying, Sighting, Speaker
from crm.identities.ownership import MOST_HOPS, owner
from crm.identities.recent import Recent
from crm.identities.telling import Row, chains, customers_of, read, tell
from crm.identity import Role

__all__ = ["Linked", "Sighting", "erased", "watching"]  # of the other files, for the features that track

#: How far back a public key's word reaches: nobody may say that a browser has been theirs for years.
PUBLIC_WORD_REACHES: Final = timedelta(hours=48)
#: Of one customer, those linked last; the events of others are not found by customer any more.
MOST_IDENTITIES: Final = 1_000
#: MongoDB sorts an ``$in`` by an index as long as there are no more than some 200 scans.
_TOGETHER: Final = 100
_RECENT: Final = "identities.recent"


async def observe(sender: Speaker, sightings: Sequence[Sighting]) -> set[str]:
    """Take up which names came together; what this process has taken up before costs nothing.

    Args:
        sender: Who saw them; a public one cannot name our customers.
        sightings: Those of erased people are the caller's to leave out.

    Returns:
        The identities that are new or newly linked.

    Raises:
        Unavailable: The database is away, or too many tell of the same people.
    """
    recent = _recent()
    statements = _statements(sender)
    fresh: list[tuple[tuple[str, str, str, str], datetime]] = []
    for seen in sightings:
        to = (seen.customer_id if sender.trusted else None) or ""
        statement = (sender.source, seen.user_id or "", seen.anonymous_id or "", to)
        at = statements.settled(seen.at)
        if not (seen.user_id or to) or recent.covers(statement, at):
            continue
        fresh.append((statement, at))
        statements.sighting(seen.user_id, seen.anonymous_id, to or None, at)
    if not fresh:
        return set()
    with driver.acting_within(Role.INGEST):
        _, changed = await tell(statements.told)
    for statement, at in fresh:
        recent.add(statement, at)
    return changed


async def identify(sender: Speaker, messages: Sequence[Saying]) -> set[str]:
    """Take up identify, alias and group messages, in any order and any number of times.

    Args:
        sender: Who says so: a public one may claim, a trusted one confirms (``customers/claims.py``).
        messages: Those of erased people are passed over.

    Returns:
        The identities that are new, newly linked, or whose customer was created or changed.

    Raises:
        CrmError: A trusted sender's customer cannot be resolved.
        Unavailable: The database is away, or too many tell of the same people; telling all again is safe.
    """
    names_in = [(message, named(sender.source, message)) for message in messages]
    gone = await erased(key for _, keys in names_in for key in keys) if names_in else set()
    statements = _statements(sender)
    for message, keys in names_in:
        if not keys & gone:
            statements.message(message)
    if not statements.told:
        return set()
    with driver.acting_within(Role.INGEST):
        rows, changed = await tell(statements.told)
        gone |= {key for key, row in rows.items() if "erased_at" in row}
        about = people.subjects(sender.source, [message for message, keys in names_in if not keys & gone])
        return changed | await people.learn(sender, about, rows)


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


async def belonging_to(customer_id: str) -> Belonging:
    """All that belongs to a customer."""
    with driver.acting_within(Role.INGEST):
        roots = await _roots(customer_id)
        reached = await _reached(customer_id, roots, MOST_IDENTITIES)
    return Belonging([customer_id, *roots, *reached], links_of(roots, reached))


async def identities_of(customer_id: str) -> list[str]:
    """The ids of all that belongs to a customer."""
    return (await belonging_to(customer_id)).ids


async def identities_of_each(customer_ids: Collection[str]) -> dict[str, list[str]]:
    """The same for several customers, with about as many reads as for one."""
    whose, crowded = await gathered(customer_ids)
    found: dict[str, list[str]] = {customer_id: [] for customer_id in customer_ids}
    for key, customer_id in whose.items():
        found[customer_id].append(key)
    crowded |= {customer_id for customer_id, ids in found.items() if len(ids) > MOST_IDENTITIES}
    return found | {customer_id: await identities_of(customer_id) for customer_id in crowded}


async def forget(customer_id: str) -> list[str]:
    """Erase every identity of a customer who exists: names, links and traits go, and nothing is taken up again.

    Returns:
        The ids of those identities.
    """
    with driver.acting_within(Role.INGEST):
        kinds: dict[str, str] = await _roots(customer_id)
        reached = await _reached(customer_id, kinds, 0)
        kinds |= {key: row["kind"] for key, row in reached.items()}
        kinds |= await _addresses_of(list(kinds))
        ids = list(kinds)
        for start in range(0, len(ids), 1_000):
            together = ids[start : start + 1_000]
            writes = [Write(queries.by_id(key), queries.erased(kinds[key]), upsert=True) for key in together]
            written = await Identity.stored().write_each(writes)
            for error in written.errors.values():
                raise error
    erasure.remember(ids)
    return ids


async def _roots(customer_id: str) -> dict[str, str]:
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


async def _reached(customer_id: str, roots: Iterable[str], limit: int) -> dict[str, Row]:
    """The identities whose first links lead to a customer or their names, at most ``limit``; 0 is all."""
    reached: dict[str, Row] = {}
    frontier = [customer_id, *roots]
    for _ in range(MOST_HOPS):
        rows: dict[str, Row] = {}
        for start in range(0, len(frontier), _TOGETHER):
            query = queries.leading_to(frontier[start : start + _TOGETHER], limit)
            rows |= {row["_id"]: row for row in await Identity.stored().find(query)}
        known = {*roots, *reached}
        new = await _not_elsewhere(customer_id, {key: row for key, row in rows.items() if key not in known})
        reached |= new
        frontier = [key for key, row in new.items() if row["kind"] != "visitor"]  # nothing ever leads to a browser
        if not frontier or 0 < limit <= len(reached):
            break
    return dict(list(reached.items())[:limit]) if limit else reached


async def _not_elsewhere(customer_id: str, rows: dict[str, Row]) -> dict[str, Row]:
    """Those of some identities that are not users of another customer by a trusted source's word."""
    users = {(row["source"], row["value"]): key for key, row in rows.items() if row["kind"] == "user"}
    found = await customers.find_named(external=users)
    elsewhere = {key for user, key in users.items() if found.called(*user, confirmed=True) not in {None, customer_id}}
    return {key: row for key, row in rows.items() if key not in elsewhere}


async def _addresses_of(ids: list[str]) -> dict[str, str]:
    """The addresses that some identities named and that are nobody's: id → kind."""
    linked = {link["to"] for row in (await read(ids)).values() for link in row.get("links", ())} - set(ids)
    others = {key: row for key, row in (await read(linked)).items() if row["kind"] == "email" and "value" in row}
    whose = await owners(others)
    return {key: "email" for key in others if key not in whose}


def _statements(sender: Speaker) -> Statements:
    return Statements(sender.source, None if sender.trusted else now() - PUBLIC_WORD_REACHES)


def _recent() -> Recent:
    kept = driver.present().database.kept
    if _RECENT not in kept:
        kept[_RECENT] = Recent()
    recent: Recent = kept[_RECENT]
    return recent
