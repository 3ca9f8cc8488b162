"""Whatever arrives when, how often and with what else: who is who and who did what are the same in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar

from crm.customers import service as customers
from crm.database.driver import Database, acting_as
from crm.events import service
from crm.events.messages import Message, MessageType, Sender
from crm.identities import names
from crm.identities import service as identities
from crm.identity import SYSTEM, Role
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

USERS, VISITORS = 4, 4
#: Within two days: further back a public key's word on who is who does not reach.
_BEGIN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=30)
Row = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One message of the stream; who is named by number.

    Attributes:
        type: identify, alias, group, track or page.
        minute: When it happened; several things happen in the same minute.
        user: Named by user id.
        visitor: Named by anonymous id.
        previous: Of an alias: a visitor (from 0) or a user (from 100) who is the user from now on.
        first_name: A trait.
        last_name: Another.
    """

    type: MessageType
    minute: int
    user: int | None = None
    visitor: int | None = None
    previous: int | None = None
    first_name: str | None = None
    last_name: str | None = None


@dataclass(frozen=True)
class Stream:
    """All that is said, and how it arrives.

    Attributes:
        said: In the order in which it happened to be made up.
        emails: Of each user, the number of the one address, if any; two may have the same.
        phones: Whether each user has a telephone.
        trusted: Whether a backend says it, or a browser.
        deliveries: The places of ``said``, in requests: every one at least once.
    """

    said: tuple[Said, ...]
    emails: tuple[int | None, ...]
    phones: tuple[bool, ...]
    trusted: bool
    deliveries: tuple[tuple[int, ...], ...]


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    said = tuple(draw(st.lists(_said(), min_size=1, max_size=14)))
    again = draw(st.lists(st.integers(0, len(said) - 1), max_size=6))
    rest = draw(st.permutations([*range(len(said)), *again]))
    deliveries = []
    while rest:
        size = draw(st.integers(1, len(rest)))
        deliveries.append(tuple(rest[:size]))
        rest = rest[size:]
    emails = draw(st.lists(st.none() | st.integers(0, 2), min_size=USERS, max_size=USERS))
    for one in said:
        if one.previous is not None and one.previous >= 100:
            # Who had an address under a former user id may be two customers, until somebody merges them.
            emails[one.previous - 100] = None
    phones = draw(st.lists(st.booleans(), min_size=USERS, max_size=USERS))
    return Stream(said, tuple(emails), tuple(phones), draw(st.booleans()), tuple(deliveries))


@st.composite
def _said(draw: st.DrawFn) -> Said:
    minute = draw(st.integers(0, 20))
    user, visitor = draw(st.integers(0, USERS - 1)), draw(st.integers(0, VISITORS - 1))
    kind: MessageType = draw(st.sampled_from(["track", "page", "identify", "identify", "alias", "group"]))
    if kind == "alias":
        # Of two users who are each said to be the other, who came first is the one.
        previous = draw(st.integers(0, VISITORS - 1) | st.integers(100, 99 + user)) if user else visitor
        return Said("alias", minute, user=user, previous=previous)
    if kind == "identify":
        names = [draw(st.none() | st.sampled_from(some)) for some in (["Ann", "Bob"], ["Example", "Sample"])]
        return Said("identify", minute, user, draw(st.none() | st.just(visitor)), None, *names)
    who = draw(st.sampled_from(["user", "visitor", "both"]))
    return Said(kind, minute, user if who != "visitor" else None, visitor if who != "user" else None)


@given(stream=streams())
@settings(max_examples=60)
async def test_any_order_repetition_and_batching_ends_the_same(
    app: Litestar, store: Store, database: Database, stream: Stream
) -> None:
    outcomes = []
    for deliveries in (tuple((place,) for place in range(len(stream.said))), stream.deliveries):
        store.empty()
        database.kept.pop("identities.recent", None)  # what the process remembers of the run before
        with acting_as(database, Role.INGEST):
            outcomes.append(await outcome(Shop(stream), deliveries, store))
    assert outcomes[1] == outcomes[0]


@pytest.mark.parametrize("trusted", [False, True])
async def test_what_a_public_key_sends_two_days_late_counts_in_the_order_in_which_it_arrives(
    app: Litestar, store: Store, database: Database, trusted: bool
) -> None:
    """It may not say when that was: whoever has the key could say that a browser has been theirs for years."""
    first_of = {}
    for order in ((0, 1), (1, 0)):
        store.empty()
        database.kept.pop("identities.recent", None)
        for user in order:
            at = datetime.now(UTC) - timedelta(hours=72 - user)
            said = Message("identify", f"m-{user}", at, "identity", user_id=f"user-{user}", anonymous_id="visitor-0")
            with acting_as(database, Role.INGEST):
                await service.track(Sender("key_late", "shop", trusted=trusted), [said])
            await asyncio.sleep(0.002)  # times are whole milliseconds
        row = store.root["identities"].find_one({"_id": names.of_visitor("shop", "visitor-0")})
        assert row is not None
        first_of[order] = row["first"]
    first, second = (names.of_user("shop", f"user-{user}") for user in (0, 1))
    assert first_of == {(0, 1): first, (1, 0): first if trusted else second}


async def outcome(shop: Shop, deliveries: Sequence[Sequence[int]], store: Store) -> tuple[list[Row], list[Row]]:
    """Who is who in the end, and what is stored of each name: links and traits, to the letter."""
    for delivery in deliveries:
        await service.track(shop.sender, [shop.message(place) for place in delivery])
    return await shop.people(), list(store.root["identities"].find({}, {"created_at": 0}).sort("_id", 1))


class Shop:
    """Who says it."""

    def __init__(self, stream: Stream) -> None:
        self.sender = Sender("key_converges", "shop", trusted=stream.trusted)
        self._stream = stream

    def message(self, place: int) -> Message:
        said = self._stream.said[place]
        traits: Row | None = None
        if said.type == "identify" and said.user is not None:
            email = self._stream.emails[said.user]
            traits = {} if email is None else {"email": f"e{email}@example.com"}
            traits |= {"phone": f"+44 20 7946 000{said.user}"} if self._stream.phones[said.user] else {}
            traits |= {"firstName": said.first_name} if said.first_name else {}
            traits |= {"lastName": said.last_name} if said.last_name else {}
        elif said.type == "group":
            traits = {"plan": "b2b"}
        return Message(
            said.type,
            f"m-{place}",
            _BEGIN + timedelta(minutes=said.minute),
            user_id=None if said.user is None else f"user-{said.user}",
            anonymous_id=None if said.visitor is None else f"visitor-{said.visitor}",
            previous_id=None if said.previous is None else self._previous(said.previous),
            name="Product Viewed" if said.type == "track" else None,
            group_id="group-1" if said.type == "group" else None,
            retention="identity" if said.type in {"identify", "alias", "group"} else "browsing",
            traits=traits,
        )

    @staticmethod
    def _previous(number: int) -> str:
        return f"visitor-{number}" if number < 100 else f"user-{number - 100}"

    async def people(self) -> list[Row]:
        """Each customer with what he did; then who is nobody.

        Where two users are one customer, the customer's name is that of whoever was heard last, and not compared. What
        each of them said is in the identities.
        """
        source = self.sender.source
        known = {names.of_user(source, f"user-{n}"): f"user {n}" for n in range(USERS)}
        known |= {names.of_visitor(source, f"visitor-{n}"): f"visitor {n}" for n in range(VISITORS)}
        owners = await identities.owners(known)
        people: list[Row] = []
        for customer_id in set(owners.values()):
            person = await customers.get(SYSTEM, customer_id)
            theirs = await identities.identities_of(customer_id)
            is_ = sorted(name for id_, name in known.items() if owners.get(id_) == customer_id)
            one = sum(name.startswith("user") for name in is_) == 1
            people.append(
                {
                    "email": person.email,
                    # What a browser says is a claim, and the first one on an address stands for all.
                    "user ids": sorted(one.id for one in person.external_ids) if self.sender.trusted else [],
                    "named": (person.first_name, person.last_name, person.phone) if one else None,
                    "is": is_,
                    "is shown": sorted(name for id_, name in known.items() if id_ in theirs),
                    "did": [event.message_id for event in await service.behind(customer_id, theirs, None, 100)],
                }
            )
        nobody = {"nobody is": sorted(name for id_, name in known.items() if id_ not in owners)}
        return [*sorted(people, key=str), nobody]
