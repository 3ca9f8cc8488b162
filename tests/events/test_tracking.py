"""What a tracking client's batch becomes: stored once, whatever is repeated, refused alone where it cannot be."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
import pytest_asyncio
from bson import Decimal128
from pymongo import monitoring

from crm.contracts import contract, documents
from crm.database.client import Client
from crm.database.driver import Database, acting_as
from crm.errors import InvalidInput, RuleViolated, Unavailable
from crm.events import service as events
from crm.events import storing
from crm.events.messages import Message, Sender
from crm.events.service import Tracked
from crm.identities import names
from crm.identities import service as identities
from crm.identity import API_ROLES, Role
from tests.fixtures.answers import refused
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

WEB = Sender("key_1", "web")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def page(n: int | str, **changes: Any) -> Message:
    fields: dict[str, Any] = {"anonymous_id": "a-1", "properties": {"path": "/"}}
    return Message("page", f"m-{n}", NOON, **{**fields, **changes})


def said(type_: Any, n: int | str, **changes: Any) -> Message:
    return Message(type_, f"m-{n}", NOON, **changes)


async def track(database: Database, *messages: Message, sender: Sender = WEB, role: Role = Role.TRACKING) -> Tracked:
    with acting_as(database, role):
        return await events.track(sender, messages)


def stored(store: Store) -> dict[str, dict[str, Any]]:
    return {row["message_id"]: row for row in store.root["events"].find({})}


class Commands(monitoring.CommandListener):
    """Counts what clients do with events."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command.get(event.command_name) == "events":
            self.sent[event.command_name] += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Not of interest."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Not of interest."""


@pytest_asyncio.fixture
async def watched(store: Store) -> AsyncIterator[tuple[Database, Counter[str]]]:
    """A process of its own whose commands are counted."""
    commands = Commands()
    clients: dict[Role, Any] = {
        role: Client(store.uri(role), directConnection=True, tz_aware=True, event_listeners=[commands])
        for role in API_ROLES
    }
    database = Database(clients, store.settings.mongodb_database, views=contract().views())
    await database.initialise(documents())
    yield database, commands.sent
    await database.close()


@pytest.fixture
def heard(database: Database) -> Iterator[list[set[str]]]:
    """What a listener in this process is told."""
    told: list[set[str]] = []

    def listen(identity_ids: Collection[str], received_at: datetime) -> None:
        assert abs(received_at - datetime.now(UTC)) < timedelta(minutes=1)
        told.append(set(identity_ids))

    events.heard(database).append(listen)
    yield told
    events.heard(database).remove(listen)


async def test_everything_a_client_says_is_stored_in_our_terms(database: Database, store: Store) -> None:
    sold = {
        "action": "order_completed", "currency": "USD", "total": Decimal("0.1000"), "order_id": "o-1",
        "products": [{"sku": "MUG", "price": Decimal("12345678901.0123456789012345678901"), "quantity": 2}],
    }  # fmt: skip
    context = {"page": {"url": "https://shop.example.com/"}, "locale": "en-GB"}
    tracked = await track(
        database,
        page(1, context=context, clock="clamped"),
        said("screen", 2, user_id="u-1", anonymous_id="a-1", name="Cart"),
        said("track", 3, user_id="u-1", name="Order Completed", retention="commerce", commerce=sold),
        said("identify", 4, user_id="u-1", anonymous_id="a-1", traits={"plan": "pro"}, context=context),
        said("identify", 5, anonymous_id="a-2", properties={"x": 1}, traits={"plan": None}),
        said("alias", 6, user_id="u-1", previous_id="a-1"),
        said("group", 7, user_id="u-1", group_id="g-1", traits={"name": "Friends"}),
    )
    assert tracked == Tracked(7, 0)
    rows = stored(store)
    user, visitor = names.of_user("web", "u-1"), names.of_visitor("web", "a-1")
    received = rows["m-1"]["received_at"]
    assert abs(received - datetime.now(UTC)) < timedelta(minutes=1)
    for row in rows.values():
        assert row.pop("_id").startswith("evt_")
        assert (row.pop("source"), row.pop("occurred_at"), row.pop("received_at")) == ("web", NOON, received)
        assert row.pop("message_id")
    both = {"user_id": "u-1", "anonymous_id": "a-1"}
    kept = {"retention": "identity", "identifies": user}
    assert rows == {
        "m-1": {"type": "page", "retention": "browsing", "identity_id": visitor, "anonymous_id": "a-1",
                "clock": "clamped", "context": context, "properties": {"path": "/"}},
        "m-2": {"type": "screen", "retention": "browsing", "identity_id": user, "name": "Cart", "properties": {},
                **both},
        "m-3": {"type": "track", "retention": "commerce", "identity_id": user, "name": "Order Completed",
                "user_id": "u-1", "properties": {}, "commerce": {
                    **sold, "total": Decimal128("0.1000"),
                    "products": [{"sku": "MUG", "quantity": 2,
                                  "price": Decimal128("12345678901.0123456789012345678901")}]}},
        "m-4": {"type": "identify", **kept, **both, "context": context, "properties": {"plan": "pro"}},
        "m-5": {"type": "identify", "retention": "identity", "identifies": names.of_visitor("web", "a-2"),
                "anonymous_id": "a-2", "properties": {"x": 1, "plan": None}},
        "m-6": {"type": "alias", **kept, "user_id": "u-1", "properties": {"previous_id": "a-1"}},
        "m-7": {"type": "group", **kept, "user_id": "u-1", "properties": {"name": "Friends", "group_id": "g-1"}},
    }  # fmt: skip


async def test_a_repeat_is_recognised_within_a_batch_and_later(database: Database, store: Store) -> None:
    batch = [page(1), page(2), page(1, anonymous_id="other"), page(3)]
    assert await track(database, *batch) == Tracked(3, 1)
    assert await track(database, *batch) == Tracked(0, 4)
    # Neither the first, the middle nor the last of it was there before.
    assert await track(database, page(10), page(2), page(11), page(12), page(3), page(13)) == Tracked(4, 2)
    assert await track(database, page(1), sender=Sender("key_2", "app")) == Tracked(1, 0)
    assert store.root["events"].count_documents({}) == 8
    assert stored(store)["m-2"]["anonymous_id"] == "a-1"
    assert await track(database) == Tracked(0, 0)


async def test_one_batch_from_eight_at_once_is_stored_once(database: Database, store: Store) -> None:
    batch = [page(n) for n in range(200)]
    answers = await asyncio.gather(*[track(database, *batch) for _ in range(8)])
    assert sum(answer.accepted for answer in answers) == 200
    assert sum(answer.duplicates for answer in answers) == 1400
    assert store.root["events"].count_documents({}) == 200


async def test_two_processes_store_one_batch_once(
    database: Database, watched: tuple[Database, Counter[str]], store: Store
) -> None:
    for start in range(0, 600, 100):
        batch = [page(n) for n in range(start, start + 100)]
        answers = await asyncio.gather(*[track(process, *batch) for process in (database, watched[0]) * 3])
        assert sum(answer.accepted for answer in answers) == 100
        assert not any(answer.refused for answer in answers)
    assert store.root["events"].count_documents({}) == 600


async def test_what_is_refused_is_refused_alone(database: Database, store: Store) -> None:
    wrong = {
        2: page(2, properties={"a": {"b": {"c": {"d": {"e": {}}}}}}),
        4: page(4, commerce={"action": "product_viewed"}),
        5: said("track", 5, anonymous_id="a"),
        6: page(6, anonymous_id=None),
        7: said("alias", 7, anonymous_id="a-1", previous_id="a"),
        8: page(8, anonymous_id="a" * 201),
    }
    batch = [wrong.get(n, page(n)) for n in range(10)]
    tracked = await track(database, *batch)
    assert (tracked.accepted, tracked.duplicates, tracked.dropped) == (4, 0, 0)
    assert tracked.refused.keys() == wrong.keys()
    assert {n: type(exc) for n, exc in tracked.refused.items()} == {
        **dict.fromkeys((2, 4, 5, 8), RuleViolated), **dict.fromkeys((6, 7), InvalidInput)
    }  # fmt: skip
    assert stored(store).keys() == {"m-0", "m-1", "m-3", "m-9"}
    again = await track(database, *batch, wrong[2])
    assert (again.accepted, again.duplicates, set(again.refused)) == (0, 4, {*wrong, 10}), "no repeat of what is not"


@pytest.mark.parametrize("value", [2**70, "\ud800", Decimal("1E+7000"), Decimal("1." + "1" * 34)])
async def test_what_bson_cannot_hold_is_refused_alone(value: Any, database: Database, store: Store) -> None:
    field = {"commerce": {"action": "cart_viewed", "total": value}} if isinstance(value, Decimal) else {}
    odd = said("track", 1, anonymous_id="a", name="x", properties={"a": value} if not field else {}, **field)
    others = [page(n) for n in range(2, 5)]
    tracked = await track(database, page(0), odd, *others)
    assert (tracked.accepted, list(tracked.refused)) == (4, [1])
    assert store.root["events"].count_documents({}) == 4


async def test_the_same_batch_again_is_asked_for_and_not_written(
    watched: tuple[Database, Counter[str]], store: Store
) -> None:
    database, sent = watched
    batch = [page(n) for n in range(100)]
    assert await track(database, *batch) == Tracked(100, 0)
    assert sent == {"find": 1, "insert": 1}, "a sample is asked for"
    sent.clear()
    assert await track(database, *batch) == Tracked(0, 100)
    assert sent == {"find": 2}, "all are asked for, and nothing is written"
    sent.clear()
    assert await track(database, page(0)) == Tracked(0, 1)
    assert sent == {"find": 1}
    sent.clear()
    assert await track(database, *batch[:50], *(page(n) for n in range(200, 250))) == Tracked(50, 50)
    assert sent == {"find": 2, "insert": 1}
    assert store.root["events"].count_documents({}) == 150


async def test_requests_that_come_together_are_written_together(
    watched: tuple[Database, Counter[str]], store: Store
) -> None:
    database, sent = watched
    answers = await asyncio.gather(*[track(database, page(n)) for n in range(300)])
    assert answers == [Tracked(1, 0)] * 300
    assert sent["insert"] <= 10
    assert store.root["events"].count_documents({}) == 300


async def test_too_much_at_once_is_said_so_before_memory_grows(
    watched: tuple[Database, Counter[str]], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "MOST_WAITING", 50)
    database, _ = watched
    batches = [[page(f"{n}-{i}") for i in range(10)] for n in range(40)]
    answers = await asyncio.gather(*[track(database, *batch) for batch in batches], return_exceptions=True)
    taken = [batch for batch, answer in zip(batches, answers, strict=True) if isinstance(answer, Tracked)]
    turned_away = [answer for answer in answers if isinstance(answer, Unavailable)]
    assert len(taken) + len(turned_away) == 40
    assert len(taken) >= 5
    assert turned_away
    assert all(answer.retry_after for answer in turned_away)
    assert stored(store).keys() == {message.message_id for batch in taken for message in batch}
    for batch in batches:
        await track(database, *batch)
    assert store.root["events"].count_documents({}) == 400


async def test_over_http_it_is_a_503_that_says_when(
    database: Database, ingest: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "MOST_WAITING", 0)
    commit = database.kept.pop(("events.storing", Role.INGEST), None)
    event = {
        "source": "web",
        "message_id": "1",
        "type": "page",
        "anonymous_id": "a",
        "occurred_at": "2026-01-31T12:00:00Z",
    }
    answer = await ingest.post("/api/v1/events", json={"events": [event]})
    refused(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    database.kept.pop(("events.storing", Role.INGEST))
    if commit is not None:
        database.kept["events.storing", Role.INGEST] = commit


async def test_listeners_hear_of_whom_something_was_received(
    database: Database, heard: list[set[str]], ingest: httpx.AsyncClient
) -> None:
    ann, bob = names.of_visitor("web", "ann"), names.of_user("web", "bob")
    batch = [page(1, anonymous_id="ann"), page(2, user_id="bob"), page(3, anonymous_id="a" * 201)]
    for _ in range(2):  # of repeats too: the first attempt may have ended before they were told
        await track(database, *batch, said("identify", 4, user_id="eve"))
        assert set().union(*heard) >= {ann, bob, names.of_user("web", "eve")}
        heard.clear()
    event = {"source": "web", "message_id": "5", "type": "page", "occurred_at": "2026-01-31T12:00:00Z"}
    await ingest.post("/api/v1/events", json={"events": [{**event, "anonymous_id": "ann"}]})
    assert heard == [{ann}]
    heard.clear()
    await track(database)
    assert heard == []


class Identities:
    """In place of the identities: what they are told, and who is erased."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.sightings: list[identities.Sighting] = []
        self.said: list[str] = []
        self.away = False

    async def nobody_erased(self) -> bool:
        return not self.gone

    async def erased(self, ids: Collection[str]) -> set[str]:
        return self.gone & set(ids)

    async def observe(self, _sender: object, sightings: Sequence[identities.Sighting]) -> set[str]:
        if self.away:
            raise Unavailable("away", retry_after=1)
        self.sightings += sightings
        return {"idn_touched"}

    async def identify(self, _sender: object, messages: Sequence[Message]) -> set[str]:
        self.said += [message.message_id for message in messages]
        return {"idn_identified"}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Identities:
    made = Identities()
    for name in ("nobody_erased", "erased", "observe", "identify"):
        monkeypatch.setattr(identities, name, getattr(made, name))
    return made


async def test_erased_people_are_answered_like_others_and_not_stored(
    database: Database, store: Store, told: Identities, heard: list[set[str]]
) -> None:
    told.gone = {names.of_visitor("web", "ann"), names.of_user("web", "bob")}
    tracked = await track(
        database,
        page(1, anonymous_id="ann"),
        page(2, anonymous_id="ann", user_id="eve"),
        page(3, anonymous_id="eve", user_id="bob"),
        said("identify", 4, user_id="bob", traits={"email": "bob@example.com"}),
        page(5, anonymous_id="eve"),
    )
    assert tracked == Tracked(5, 0, {}, 3)
    assert stored(store).keys() == {"m-2", "m-5"}
    assert told.said == []
    assert [sighting.user_id for sighting in told.sightings] == ["eve"]
    assert not told.gone & set().union(*heard)


async def test_identities_are_told_who_was_seen_and_what_was_said(
    database: Database, told: Identities, heard: list[set[str]]
) -> None:
    batch = [
        page(1),
        page(2, user_id="u-1"),
        page(3, user_id="u-1", anonymous_id=None),
        said("identify", 4, anonymous_id="a-1"),
        said("alias", 5, user_id="u-2", previous_id="u-1"),
        said("group", 6, user_id="u-2", group_id="g"),
        said("identify", 7, anonymous_id="a" * 201),
    ]
    for _ in range(2):  # for repeats too: a retry has to complete what the first attempt did not get to
        told.sightings.clear()
        told.said.clear()
        await track(database, *batch)
        seen = [(s.user_id, s.anonymous_id, s.at, s.customer_id) for s in told.sightings]
        assert seen == [("u-1", "a-1", NOON, None), ("u-1", None, NOON, None), ("u-2", None, NOON, None)]
        assert told.said == ["m-4", "m-5", "m-6"]
        assert {"idn_touched", "idn_identified"} <= set().union(*heard)


async def test_a_batch_of_which_identities_could_not_hear_is_sent_again(
    database: Database, store: Store, told: Identities
) -> None:
    told.away = True
    with pytest.raises(Unavailable):
        await track(database, page(1, user_id="u-1"), said("identify", 2, user_id="u-1"))
    told.away = False
    assert await track(database, page(1, user_id="u-1"), said("identify", 2, user_id="u-1")) == Tracked(0, 2)
    assert (len(told.sightings), told.said) == (2, ["m-2"])


async def test_a_named_customers_browser_is_told_to_identities(ingest: httpx.AsyncClient, told: Identities) -> None:
    event = {"source": "web", "type": "page", "occurred_at": "2026-01-31T12:00:00Z", "customer": {"external_id": "c"}}
    batch = [{**event, "message_id": "1", "anonymous_id": "a-1"}, {**event, "message_id": "2"}]
    (await ingest.post("/api/v1/events", json={"events": batch})).raise_for_status()
    (sighting,) = told.sightings
    assert (sighting.user_id, sighting.anonymous_id, sighting.at) == (None, "a-1", NOON)
    assert (sighting.customer_id or "").startswith("cus_")


async def test_without_group_commit_it_is_the_same(store: Store, database: Database) -> None:
    alone = Database(database.clients, database.name, group_commit=False)
    assert await track(alone, page(1), page(2), page(1)) == Tracked(2, 1)
    assert await track(alone, page(1), page(2)) == Tracked(0, 2)
    assert not [key for key in alone.kept if key[0] == "events.storing"]
