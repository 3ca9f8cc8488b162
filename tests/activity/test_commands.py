"""What a round costs the database: a number of commands that grows neither with events nor with customers."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from pymongo import monitoring

from crm.activity import projection
from crm.contracts import contract
from crm.database.driver import Database, acting_as
from crm.identity import Role
from tests.activity.browsing import Visitor, customer_of, mug
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
COUNTED = frozenset({"activities", "customers", "events", "identities"})


class Commands(monitoring.CommandListener):
    """What the clients that were made after ``register`` send, while ``counted`` is not None."""

    def __init__(self) -> None:
        self.counted: Counter[str] | None = None

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        target = event.command.get(event.command_name)
        with suppress(TypeError):  # some commands are of no collection
            if self.counted is not None and target in COUNTED:
                self.counted[f"{event.command_name} {target}"] += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing to do."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to do."""


COMMANDS = Commands()


@pytest_asyncio.fixture
async def alone(store: Store) -> AsyncIterator[Database]:
    if COMMANDS not in monitoring._LISTENERS.command_listeners:
        monitoring.register(COMMANDS)
    database = Database.connect(store.settings, views=contract().views())
    yield database
    COMMANDS.counted = None
    await database.close()


async def round_of(database: Database, identity_ids: list[str]) -> Counter[str]:
    counted = COMMANDS.counted = Counter[str]()
    with acting_as(database, Role.INGEST):
        await projection.tell(identity_ids)
    COMMANDS.counted = None
    return counted


async def test_a_round_costs_no_more_for_more_events_or_customers(alone: Database, store: Store) -> None:
    somebody = [Visitor(alone) for _ in range(30)]
    for visitor in somebody:
        await visitor.sends(visitor.identified(0), visitor.did(1, "product_added", mug()), visitor.message(2))
    ids = [customer_of(store, visitor) for visitor in somebody]
    for_one = await round_of(alone, ids[:1])
    assert for_one == {
        "find customers": 4,  # who owns it, whose names they are, the totals; of new activity, whether they still exist
        "find activities": 1,
        "find identities": 2,
        "aggregate events": 1,
        "update customers": 1,
        "update activities": 1,
    }
    await somebody[0].sends(*(somebody[0].message(3 + n / 100) for n in range(400)))
    assert await round_of(alone, ids[:1]) == for_one - Counter({"find customers": 1})
    assert await round_of(alone, ids[1:]) == for_one
    # Nothing is new, so nothing is written.
    assert not {command for command in await round_of(alone, ids) if command.startswith("update")}


async def test_nobody_s_visitors_cost_two_reads_however_many_they_are(alone: Database, store: Store) -> None:
    somebody = [Visitor(alone) for _ in range(50)]
    for visitor in somebody:
        await visitor.sends(visitor.message(0, signed_in=False))
    visitors = [row["_id"] for row in store.root["events"].aggregate([{"$group": {"_id": "$identity_id"}}])]
    assert len(visitors) == 50
    assert sum((await round_of(alone, visitors)).values()) <= 2
