"""How many commands a push costs the database: a small number that does not grow with the pushes of a moment."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
import pytest_asyncio

from crm.app import create_app
from crm.contracts import contract
from crm.database.driver import Database
from crm.orders import projection
from tests.fixtures.api import client_of, running
from tests.fixtures.commands import COMMANDS
from tests.fixtures.shop import Body, push, refund
from tests.fixtures.store import Store, totals_settled

pytestmark = pytest.mark.mongo


class Counted:
    """A process of its own whose commands are counted; totals are added up when it is told to."""

    def __init__(self, client: httpx.AsyncClient, gate: asyncio.Event) -> None:
        self.client = client
        self.gate = gate

    def begin(self) -> Counter[str]:
        COMMANDS.counted = Counter()
        return COMMANDS.counted


@pytest_asyncio.fixture
async def process(
    store: Store, credentials: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Counted]:
    COMMANDS.listen()
    gate, settle = asyncio.Event(), projection._settle

    async def when_told(*args: Any) -> None:
        await gate.wait()
        await settle(*args)

    async def nothing_left(_database: Database) -> None:
        """No sweep: it comes at any moment."""

    monkeypatch.setattr(projection, "_settle", when_told)
    monkeypatch.setattr(projection, "_take_over", nothing_left)
    database = Database.connect(store.settings, views=contract().views())
    try:
        async with (
            running(create_app(store.settings, database=database)) as app,
            client_of(app, Authorization=f"Bearer {credentials['ingest']}") as client,
        ):
            yield Counted(client, gate)
            gate.set()
    finally:
        COMMANDS.counted = None
        await database.close()


def customer(number: int) -> Body:
    return {"external_id": f"c-{number}", "email": f"c{number}@example.com"}


async def known(process: Counted, body: Body) -> None:
    """Thirty-two customers, so that a push finds whom it means; and a signed-in sender."""
    for number in range(32):
        await push(process.client, body, f"first-{number}", customer=customer(number))


async def test_one_push_of_a_known_customer(process: Counted, order_body: Body, store: Store) -> None:
    await known(process, order_body)
    counted = process.begin()
    await push(process.client, order_body, "second", customer=customer(0))
    assert counted == {"find orders": 1, "find customers": 1, "insert stats_due": 1, "insert orders": 1}
    counted = process.begin()
    process.gate.set()
    await totals_settled(store)
    # The first order's, and then those of the other thirty-two together.
    assert counted == {"find customers": 2, "aggregate orders": 2, "update customers": 2, "delete stats_due": 2}


async def test_thirty_two_pushes_at_once(process: Counted, order_body: Body) -> None:
    await known(process, order_body)
    counted = process.begin()
    pushes = [push(process.client, order_body, f"second-{n}", customer=customer(n)) for n in range(32)]
    assert {answer["result"] for answer in await asyncio.gather(*pushes)} == {"created"}
    # Two: the first alone, then those that came while it was written. A slow machine may let a third begin.
    assert set(counted) == {"find orders", "find customers", "insert stats_due", "insert orders"}
    assert max(counted.values()) <= 3, counted


async def test_an_edit_writes_down_what_was_before(process: Counted, order_body: Body) -> None:
    await known(process, order_body)
    later = {"source_updated_at": "2026-02-01T00:00:00Z"}
    edits = [push(process.client, order_body, f"first-{n}", customer=customer(n), **later) for n in range(32)]
    counted = process.begin()
    await asyncio.gather(*edits)
    assert set(counted) == {
        "find orders", "find customers", "insert stats_due", "insert order_versions", "update orders",
    }  # fmt: skip
    assert max(counted.values()) <= 3, counted


async def test_an_unchanged_push_is_one_read(process: Counted, order_body: Body) -> None:
    await known(process, order_body)
    counted = process.begin()
    again = await push(process.client, order_body, "first-0", customer=customer(0))
    assert (again["result"], counted) == ("unchanged", {"find orders": 1})
    counted = process.begin()
    await asyncio.gather(*[push(process.client, order_body, "first-1", customer=customer(1)) for _ in range(32)])
    assert set(counted) == {"find orders"}
    assert counted["find orders"] <= 3


async def test_a_refund(process: Counted, order_body: Body) -> None:
    await known(process, order_body)
    order = await push(process.client, order_body, "first-0", customer=customer(0))
    counted = process.begin()
    assert (await refund(process.client, order, amount="1")).status_code == 201
    assert counted == {
        "find orders": 2, "insert stats_due": 1, "insert order_versions": 1, "update orders": 1,
    }  # fmt: skip
