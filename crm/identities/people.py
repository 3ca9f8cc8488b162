"""What identifies say of customers: who is found, who is created, and what they are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from crm.customers import service as customers
from crm.customers.service import Found, Told
from crm.identities import names, traits
from crm.identities.graph import traits_of
from crm.identities.messages import Saying, Speaker
from crm.identities.ownership import owner
from crm.identities.telling import Row, chains, customers_of, read
from crm.identity import Principal, Role


@dataclass(slots=True)
class Subject:
    """Whom an identify is about.

    Attributes:
        id: Of the user's identity; without a user id, of the browser's.
        external: Source and user id.
        addresses: What was said of where they live, in the order in which it was said.
    """

    id: str
    external: tuple[str, str] | None
    addresses: list[Mapping[str, Any]] = field(default_factory=list)

    def told(self, row: Row) -> Told:
        """What is known of them by now."""
        person = traits.person(traits_of(row))
        return Told(
            self.external,
            person.email,
            person.phone,
            person.first_name,
            person.last_name,
            tuple(self.addresses),
            person.attributes,
        )


def subjects(source: str, messages: Iterable[Saying]) -> dict[str, Subject]:
    """Whom the identifies among some messages are about, by identity."""
    found: dict[str, Subject] = {}
    for message in sorted(messages, key=lambda m: (m.occurred_at, m.message_id)):
        if message.type != "identify":
            continue
        if message.user_id:
            new = Subject(names.of_user(source, message.user_id), (source, message.user_id))
        elif message.anonymous_id:
            new = Subject(names.of_visitor(source, message.anonymous_id), None)
        else:
            continue
        subject = found.setdefault(new.id, new)
        address = traits.address(message.traits)
        if address is not None:
            subject.addresses.append(address)
    return found


async def learn(sender: Speaker, about: Mapping[str, Subject], rows: Mapping[str, Row]) -> set[str]:
    """Find or create the customers and tell them what is known; returns the identities of those who changed.

    Args:
        sender: Who says so.
        about: Whom, by identity.
        rows: The documents of the identities that were named.

    Raises:
        CrmError: A trusted sender's customer cannot be resolved.
        Unavailable: Too many change the same customers at once.
    """
    waiting = set(about)
    known = dict(rows)
    changed: set[str] = set()
    for attempt in count(1):
        waiting = {key for key in waiting if key in known and "erased_at" not in known[key]}
        known = await chains(waiting, known)
        told = {key: about[key].told(known[key]) for key in sorted(waiting)}
        settled, wrote = await _round(sender, told, known)
        changed |= wrote
        waiting -= settled - wrote
        if not waiting:
            break
        known = await read(waiting)
        # What was written may have been out of date by then: somebody has told more in the meantime.
        waiting -= {key for key in settled if key in known and about[key].told(known[key]) == told[key]}
        if not waiting:
            break
        await customers.pause(attempt)
    return changed


async def _round(sender: Speaker, told: Mapping[str, Told], rows: Mapping[str, Row]) -> tuple[set[str], set[str]]:
    """Tell the customers; returns the identities of those that are settled, and of those who had to be changed."""
    found = await customers_of(rows, emails=_addresses(told))
    owners = {key: owner(key, rows, found) for key in told}
    if sender.trusted:
        owners, found = await _resolved(sender, told, owners, found)
    nobody = {key for key, said in told.items() if owners[key] is None and not (said.external or said.email)}
    # Who was deleted a moment ago is looked for again.
    there = {key for key, customer_id in owners.items() if customer_id is None or found.exists(customer_id)}
    chosen = sorted(there - nobody)
    learnt = await customers.learn(
        found,
        [(owners[key], told[key]) for key in chosen],
        by=_principal(sender),
        source=sender.source,
        trusted=sender.trusted,
        phone_region=sender.phone_region,
    )
    wrote = {chosen[place] for place in learnt.changed}
    return nobody | {chosen[place] for place in learnt.done}, wrote


async def _resolved(
    sender: Speaker, told: Mapping[str, Told], owners: Mapping[str, str | None], found: Found
) -> tuple[dict[str, str | None], Found]:
    resolved = await customers.resolve_told(found, list(told.values()), _principal(sender), sender.phone_region)
    whose = {key: answer or owners[key] for key, answer in zip(told, resolved, strict=True)}
    ids = {customer_id for customer_id in whose.values() if customer_id}
    return whose, await customers.find_named(ids, _addresses(told)) if found.stale else found


def _principal(sender: Speaker) -> Principal:
    return Principal(sender.key_id, Role.INGEST, sender.key_name or sender.key_id, "key")


def _addresses(told: Mapping[str, Told]) -> set[str]:
    return {key for said in told.values() if (key := said.email_key())}
