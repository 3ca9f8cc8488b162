"""How many commands identities cost the database on the roads that every event takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio
from pymongo import monitoring

from crm.contracts import documents
from crm.custom_fields import knowing
from crm.custom_fields import service as custom_fields
from crm.database.client import Client
from crm.database.driver import Database, acting_as
from crm.events.messages import Message, Sender
from crm.identities import erasure, names, service
from crm.identities.messages import Sighting
from crm.identity import Role
from tests.fixtures.store import Store
from tests.identities.speaking import BACKEND, BROWSER, at, identify

pytestmark = pytest.mark.mongo


class Commands(monitoring.CommandListener):
    """Counts what clients send, but for signing in."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        target = event.command.get(event.command_name)
        if event.command_name in {"find", "insert", "update", "getMore", "aggregate"}:
            self.seen[f"{event.command_name} {target}"] += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing to do."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to do."""


class Counted:
    """A process of its own."""

    def __init__(self, database: Database, commands: Commands) -> None:
        self.database = database
        self._commands = commands

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        self._commands.seen = Counter()
        with acting_as(self.database, Role.TRACKING):
            yield self._commands.seen

    async def identify(self, sender: Sender, *messages: Message) -> Counter[str]:
        with self.counting() as seen:
            await service.identify(sender, messages)
        return seen


@pytest_asyncio.fixture
async def process(store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counted]:
    for module in (erasure, knowing):  # they would be counted, too
        monkeypatch.setattr(module, "_EVERY", 3600.0)
    commands = Commands()
    client: Client[dict[str, Any]] = Client(
        store.uri(Role.INGEST), directConnection=True, tz_aware=True, event_listeners=[commands], w="majority"
    )
    database = Database(dict.fromkeys(Role, client), store.root.name)
    with acting_as(database, Role.INGEST):
        await _initialised(store)
        async with service.watching(database), custom_fields.watching(database):
            yield Counted(database, commands)
    await database.close()


async def _initialised(store: Store) -> None:
    """Documents are known to Beanie already, or nobody has asked for them."""
    plain = Database.connect(store.settings, views={})
    await plain.initialise(documents())
    await plain.close()


async def test_a_visitor_who_was_seen_a_moment_ago_costs_nothing(process: Counted) -> None:
    seen = [Sighting("u-1", "a-1", at(5)), Sighting("u-1", None, at(5)), Sighting(None, "a-1", at(5))]
    with process.counting() as cost:
        await service.observe(BROWSER, seen)
    assert cost == {"find identities": 1, "insert identities": 1}
    with process.counting() as cost:
        await service.observe(BROWSER, seen)
        await service.observe(BROWSER, [Sighting("u-1", "a-1", at(6))])
    assert cost == {}


async def test_another_process_reads_once(process: Counted) -> None:
    with process.counting():
        await service.observe(BROWSER, [Sighting("u-1", "a-1", at(5))])
        process.database.kept.pop("identities.recent")
    with process.counting() as cost:
        await service.observe(BROWSER, [Sighting("u-1", "a-1", at(5))])
    assert cost == {"find identities": 1}


@pytest.mark.parametrize("sender", [BROWSER, BACKEND], ids=["public", "trusted"])
async def test_an_identify_with_nothing_new_costs_two_reads(sender: Sender, process: Counted) -> None:
    said = [identify(f"u-{n}", f"a-{n}", email=f"u-{n}@example.com", firstName="Ann", plan=n) for n in range(20)]
    await process.identify(sender, *said)
    assert await process.identify(sender, *said) == {"find identities": 1, "find customers": 1}
    assert await process.identify(sender, said[7]) == {"find identities": 1, "find customers": 1}


@pytest.mark.parametrize("number", [1, 300])
async def test_whose_hundreds_of_visitors_are_costs_a_read_for_each_link_and_one(number: int, process: Counted) -> None:
    said = [identify(f"u-{n}", f"a-{n}", email=f"u-{n}@example.com") for n in range(number)]
    await process.identify(BROWSER, *said)
    visitors = [names.of_visitor("web", f"a-{n}") for n in range(number)]
    with process.counting() as cost:
        whose = await service.owners(visitors)
    assert len(set(whose.values())) == number
    (mine, *_) = whose.values()
    with process.counting() as theirs:
        assert len(await service.identities_of(mine)) == 4
    # The customer; where the user id leads, since it is only claimed; and what leads to all of these.
    assert theirs == {"find customers": 2, "find identities": 3}
    # From browser to user, from user to address; and the customers.
    assert {name: count for name, count in cost.items() if not name.startswith("getMore")} == {
        "find identities": 3,
        "find customers": 1,
    }
