"""What can be done with identities: who is behind a browser, a user id or an address."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from crm.clock import now
from crm.database import driver
from crm.identities import people
from crm.identities.belonging import Belonging, Linked, links_of
from crm.identities.erasure import erased, nobody_erased, watching
from crm.identities.forgetting import disclose, forget, of_names, person_of, remains
from crm.identities.gathering import gathered
from crm.identities.graph import Statements, named
from crm.identities.messages import Saying, Sighting, Speaker
from crm.identities.reaching import orphaned, owners, reached, roots
from crm.identities.recent import Recent
from crm.identities.telling import tell
from crm.identity import Role

__all__ = [  # of the other files, for other features
    "Linked", "Sighting", "disclose", "erased", "forget", "named", "nobody_erased", "of_names", "orphaned", "owners",
    "person_of", "remains", "watching",
]  # fmt: skip

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


async def belonging_to(customer_id: str) -> Belonging:
    """All that belongs to a customer."""
    with driver.acting_within(Role.INGEST):
        own, by_name = await roots(customer_id)
        found = await reached(own, by_name, MOST_IDENTITIES)
    return Belonging([*own, *by_name, *found], links_of(by_name, found))


async def identities_of(customer_id: str) -> list[str]:
    """The ids of all that belongs to a customer: the own one, those of before merges, then those of names."""
    return (await belonging_to(customer_id)).ids


async def identities_of_each(customer_ids: Collection[str]) -> dict[str, list[str]]:
    """The same for several customers, with about as many reads as for one."""
    whose, crowded = await gathered(customer_ids)
    found: dict[str, list[str]] = {customer_id: [] for customer_id in customer_ids}
    for key, customer_id in whose.items():
        found[customer_id].append(key)
    crowded |= {customer_id for customer_id, ids in found.items() if len(ids) > MOST_IDENTITIES}
    return found | {customer_id: await identities_of(customer_id) for customer_id in crowded}


def _statements(sender: Speaker) -> Statements:
    return Statements(sender.source, None if sender.trusted else now() - PUBLIC_WORD_REACHES)


def _recent() -> Recent:
    kept = driver.present().database.kept
    if _RECENT not in kept:
        kept[_RECENT] = Recent()
    recent: Recent = kept[_RECENT]
    return recent
