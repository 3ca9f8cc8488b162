"""A request that only reads may be answered by another member while there is no primary; one that writes may not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
import pytest_asyncio
from pymongo import monitoring

from crm.app import create_app
from crm.contracts import contract
from crm.database.driver import Database, acting_as, acting_within, collection
from crm.identity import Role
from tests.fixtures.api import client_of, running
from tests.fixtures.shop import Body, push
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo


class Preferences(monitoring.CommandListener):
    """Where commands on collections wished to be carried out."""

    def __init__(self) -> None:
        self.of: dict[str, set[str]] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        target = event.command.get(event.command_name)
        wish = event.command.get("$readPreference", {}).get("mode", "primary")
        self.of.setdefault(f"{event.command_name} {target}", set()).add(wish)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing to do."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to do."""


PREFERENCES = Preferences()


@pytest_asyncio.fixture
async def shop(store: Store, credentials: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    if PREFERENCES not in monitoring._LISTENERS.command_listeners:
        monitoring.register(PREFERENCES)  # for the clients that are made from now on
    database = Database.connect(store.settings, views=contract().views())
    try:
        async with (
            running(create_app(store.settings, database=database)) as app,
            client_of(app, Authorization=f"Bearer {credentials['ingest']}") as client,
        ):
            yield client
    finally:
        await database.close()


async def test_reading_requests_go_on_without_a_primary(shop: httpx.AsyncClient, order_body: Body) -> None:
    await push(shop, order_body, "first")
    PREFERENCES.of.clear()
    (await shop.get("/api/v1/orders")).raise_for_status()
    (await shop.get("/api/v1/orders/shop/first")).raise_for_status()
    assert PREFERENCES.of["find orders"] == {"primaryPreferred"}


async def test_requests_that_write_decide_by_what_the_primary_knows(shop: httpx.AsyncClient, order_body: Body) -> None:
    await push(shop, order_body, "first")
    PREFERENCES.of.clear()
    await push(shop, {**order_body, "note": "another"}, "first")
    assert PREFERENCES.of["find orders"] == {"primary"}
    assert PREFERENCES.of["find customers"] == {"primary"}


async def test_who_reads_on_behalf_of_another_role_reads_there_too(database: Database) -> None:
    def wish() -> str:
        return str(collection("orders").raw.read_preference.mongos_mode)

    with acting_as(database, Role.SALES, reads=True):
        assert wish() == "primaryPreferred"
        with acting_within(Role.INGEST):
            assert wish() == "primaryPreferred"
        with acting_as(database, Role.INGEST):
            assert wish() == "primary"
        assert collection("orders").as_applied().raw.read_preference.mongos_mode == "primary"
