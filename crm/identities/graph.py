"""What messages say about identities, and how it adds up: any order, any repetition, the same result. Pure.

A link is kept with the earliest time at which it was said, a trait with the latest. Both are the least (or greatest)
of a total order, so what is merged twice or in another order is the same; ``queries.told`` does on the server what
``folded`` does here, and a test compares them document by document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from crm.identities import names, traits
from crm.identities.documents import MOST_LINKS, Kind, Via
from crm.identities.messages import Saying
from crm.identities.traits import Said

Row = dict[str, Any]


class Made(NamedTuple):
    """A link without its end: the least of several to one end holds."""

    at: datetime
    via: Via


@dataclass(slots=True)
class Told:
    """What is said about one identity.

    Attributes:
        id: Its id.
        kind: What it is.
        source: Whose, but for an address.
        value: The name itself.
        links: Where it leads → since when.
        traits: What is said about it, by name.
    """

    id: str
    kind: Kind
    source: str | None
    value: str
    links: dict[str, Made] = field(default_factory=dict)
    traits: dict[str, Said] = field(default_factory=dict)

    def link(self, to: str, at: datetime, via: Via) -> None:
        """It is the same person as ``to``; nothing leads to itself."""
        if to != self.id:
            made = Made(at, via)
            self.links[to] = min(self.links.get(to, made), made)


class Statements:
    """What several messages say, by identity.

    Args:
        source: Whose user ids and anonymous ids they name.
        earliest: No link is older than this, whatever the message says; None for senders who may tell of the past.
    """

    def __init__(self, source: str, earliest: datetime | None = None) -> None:
        self._source = source
        self._earliest = earliest
        self.told: dict[str, Told] = {}

    def message(self, message: Saying) -> None:
        """An identify, alias or group message."""
        at = self.settled(message.occurred_at)
        user = self.user(message.user_id) if message.user_id else None
        visitor = self.visitor(message.anonymous_id) if message.anonymous_id else None
        via: Via = "alias" if message.type == "alias" else "identify"
        if user and visitor:
            visitor.link(user.id, at, via)
        if message.type == "alias" and user and message.previous_id:
            for previous in (self.user(message.previous_id), self.visitor(message.previous_id)):
                previous.link(user.id, at, via)
        subject = user or visitor
        if message.type == "identify" and subject:
            self._describe(subject, message, at)

    def sighting(self, user_id: str | None, anonymous_id: str | None, customer_id: str | None, at: datetime) -> None:
        """Names that came with one event; ``at`` is settled."""
        user = self.user(user_id) if user_id else None
        to = customer_id or (user.id if user else None)
        if anonymous_id and to:
            self.visitor(anonymous_id).link(to, at, "track")

    def user(self, user_id: str) -> Told:
        """What is said about a user id."""
        return self._about(names.of_user(self._source, user_id), "user", self._source, user_id)

    def visitor(self, anonymous_id: str) -> Told:
        """What is said about a browser."""
        return self._about(names.of_visitor(self._source, anonymous_id), "visitor", self._source, anonymous_id)

    def _describe(self, subject: Told, message: Saying, at: datetime) -> None:
        said = traits.read(message.traits, _whole(message.occurred_at), message.message_id)
        subject.traits = traits.latest(subject.traits.items(), said)
        key = traits.email_key(message.traits)
        if key:
            email = self._about(names.of_email(key), "email", None, key)
            subject.link(email.id, at, "identify")

    def _about(self, identity_id: str, kind: Kind, source: str | None, value: str) -> Told:
        found = self.told.get(identity_id)
        if found is None:
            found = self.told[identity_id] = Told(identity_id, kind, source, value)
        return found

    def settled(self, at: datetime) -> datetime:
        """The time that a link gets: no earlier than this sender's word reaches."""
        return _whole(at if self._earliest is None else max(at, self._earliest))


def named(source: str, message: Saying) -> set[str]:
    """The ids of all identities that a message names."""
    ids = set()
    if message.user_id:
        ids.add(names.of_user(source, message.user_id))
    if message.anonymous_id:
        ids.add(names.of_visitor(source, message.anonymous_id))
    if message.type == "alias" and message.user_id and message.previous_id:
        ids |= {names.of_user(source, message.previous_id), names.of_visitor(source, message.previous_id)}
    if message.type == "identify" and ids and (key := traits.email_key(message.traits)):
        ids.add(names.of_email(key))
    return ids


def folded(row: Mapping[str, Any] | None, told: Told) -> Mapping[str, Any]:
    """The document after this was told; of an erased identity nothing is taken up any more.

    Args:
        row: The document before; None where there was none. Then ``created_at`` is the server's to add.
        told: About this identity.
    """
    if row is not None and "erased_at" in row:
        return row
    links = _links(row.get("links", ()) if row else (), told.links)
    said = traits.latest(_said(row.get("traits", ()) if row else ()), told.traits)
    out: Row = {"_id": told.id, "kind": told.kind}
    if told.source is not None:
        out["source"] = told.source
    out |= {"value": told.value, "links": links}
    if links:
        out |= {"first": links[0]["to"], "linked_at": links[0]["at"]}
    out["traits"] = trait_rows(said)
    if row is not None and "created_at" in row:
        out["created_at"] = row["created_at"]
    return out


def link_rows(links: Mapping[str, Made]) -> list[Row]:
    """Links as they are stored: the earliest first, at most 100."""
    ordered = sorted(links.items(), key=lambda item: (item[1].at, item[0]))[:MOST_LINKS]
    return [{"to": to, "at": made.at, "via": made.via} for to, made in ordered]


def trait_rows(said: Mapping[str, Said]) -> list[Row]:
    """Traits as they are stored, in the order in which they come."""
    return [{"name": name, "value": s.value, "at": s.at, "message": s.message} for name, s in said.items()]


def traits_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The traits of a stored identity: name → value."""
    return {trait["name"]: trait["value"] for trait in row.get("traits", ())}


def _links(stored: Iterable[Mapping[str, Any]], told: Mapping[str, Made]) -> list[Row]:
    merged = {link["to"]: Made(link["at"], link["via"]) for link in stored}
    for to, made in told.items():
        merged[to] = min(merged.get(to, made), made)
    return link_rows(merged)


def _said(stored: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Said]]:
    return ((trait["name"], Said(trait["at"], trait["message"], trait["value"])) for trait in stored)


def _whole(at: datetime) -> datetime:
    """Whole milliseconds, as BSON keeps them."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
