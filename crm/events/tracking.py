"""A batch of messages of a tracking client: stored, told to the identities, and to whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from crm.clock import now
from crm.database import driver
from crm.database.collection import Row
from crm.database.driver import Database
from crm.errors import CrmError, InvalidInput
from crm.events import rows, storing
from crm.events.messages import Message, Sender
from crm.identities import names
from crm.identities import service as identities

Listener = Callable[[Collection[str], datetime], None]
"""Hears of which identities something was received, and when. It is called before the answer: it must be quick."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """What became of a batch.

    Attributes:
        accepted: How many were new, those of erased people among them, which are not stored.
        duplicates: How many were there already.
        refused: Why the others could not be stored, by their place in the batch.
        dropped: How many were of erased people.
    """

    accepted: int
    duplicates: int
    refused: Mapping[int, CrmError] = field(default_factory=dict)
    dropped: int = 0


def heard(database: Database) -> list[Listener]:
    """Those in this process who hear of what was received; append to it."""
    listeners: list[Listener] = database.kept.setdefault("events.listeners", [])
    return listeners


def tell(identity_ids: Collection[str], received_at: datetime) -> None:
    """Tell whoever listens."""
    if identity_ids:
        for listener in heard(driver.present().database):
            listener(identity_ids, received_at)


async def track(sender: Sender, messages: Sequence[Message]) -> Tracked:
    """Store a batch of messages and carry out what they say of who is who.

    Sending a batch again is safe, and after an ``Unavailable`` completes what the first attempt did not get to: what
    messages say of identities is carried out for repeats too, and listeners hear of them.

    Args:
        sender: On whose behalf they come.
        messages: Checked by a connector.

    Raises:
        Unavailable: The database is away or too much waits; what was done is unknown.
    """
    received_at = now()
    made: dict[int, Row] = {}
    refused: dict[int, CrmError] = {}
    for place, message in enumerate(messages):
        try:
            made[place] = rows.of_message(sender, message, received_at)
        except InvalidInput as exc:
            refused[place] = exc
    whose = {place: rows.whose(row) for place, row in made.items()}
    messages, kept = await _of_living(sender, messages, made, whose)
    outcomes = await storing.store([made[place] for place in kept])
    refused |= {place: outcome for place, outcome in zip(kept, outcomes, strict=True) if isinstance(outcome, CrmError)}
    stored = [place for place in kept if place not in refused]
    tell({whose[place] for place in stored}, received_at)
    tell(await _tell_identities(sender, [messages[place] for place in stored]), received_at)
    duplicates = outcomes.count(False)
    return Tracked(len(messages) - len(refused) - duplicates, duplicates, refused, dropped=len(made) - len(kept))


async def _of_living(
    sender: Sender, messages: Sequence[Message], made: Mapping[int, Row], whose: Mapping[int, str]
) -> tuple[Sequence[Message], list[int]]:
    """The messages of people who were not erased, and their places; none of them names a browser of one who was."""
    if await identities.nobody_erased():  # until the first erasure, other names need not be made
        return messages, list(made)
    ids = {place: {whose[place], *_others(sender, messages[place])} for place in made}
    gone = await identities.erased(set().union(*ids.values()))
    if not gone:
        return messages, list(made)
    living, kept = list(messages), []
    for place, row in made.items():
        message = messages[place]
        if whose[place] in gone or (message.type in rows.SAYS_WHO and ids[place] & gone):
            continue
        kept.append(place)
        if ids[place] & gone:  # somebody else at the same browser
            row.pop("anonymous_id", None)
            living[place] = replace(message, anonymous_id=None)
    return living, kept


def _others(sender: Sender, message: Message) -> Collection[str]:
    """Whom a message names beside whose it is."""
    if message.type in rows.SAYS_WHO:
        return identities.named(sender.source, message)
    if message.user_id and message.anonymous_id:
        return (names.of_visitor(sender.source, message.anonymous_id),)
    return ()


async def _tell_identities(sender: Sender, messages: Sequence[Message]) -> Collection[str]:
    """What a batch says of who is who; returns the identities whose owner may have changed."""
    sightings = [
        identities.Sighting(message.user_id, message.anonymous_id, message.occurred_at)
        for message in messages
        if message.user_id and message.type != "alias"
    ]
    touched = set(await identities.observe(sender, sightings)) if sightings else set()
    saying = [message for message in messages if message.type in rows.SAYS_WHO]
    return touched.union(await identities.identify(sender, saying)) if saying else touched
