"""An app whose inbox stands still, so that a test says when deliveries are carried out; and shops that send to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar

from crm.app import create_app
from crm.database.driver import Database, acting_as
from crm.identity import Role
from crm.inbox.worker import Worker
from tests.connectors.fixtures import Sender, connection_body
from tests.fixtures.answers import good
from tests.fixtures.api import client_of, running
from tests.fixtures.store import Store

Sweep = Callable[[], Awaitable[int]]
Waiting = list[dict[str, Any]]


@pytest_asyncio.fixture
async def still(store: Store, database: Database) -> AsyncIterator[Litestar]:
    """An app that takes webhooks in and carries none out."""
    async with running(create_app(store.settings, database=database, work_inbox=False)) as made:
        yield made


@pytest.fixture
def worker(still: Litestar) -> Worker:
    worker: Worker = still.state.inbox
    return worker


@pytest_asyncio.fixture
async def sweep(worker: Worker, database: Database) -> Sweep:
    """Carries out what is due, until nothing is."""

    async def until_nothing_is_due() -> int:
        carried_out = 0
        with acting_as(database, Role.INGEST):
            while found := await worker.sweep():
                carried_out += found
        return carried_out

    return until_nothing_is_due


@pytest_asyncio.fixture
async def shop(still: Litestar, credentials: dict[str, str], store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """An admin of the app that stands still."""
    async with client_of(still, Authorization=f"Bearer {credentials['admin']}") as client:
        yield client


@pytest_asyncio.fixture
async def connection(shop: httpx.AsyncClient) -> dict[str, Any]:
    """A connection to a Shopify shop."""
    made: dict[str, Any] = good(await shop.post("/api/v1/connections", json=connection_body()), 201)
    return made


@pytest_asyncio.fixture
async def woo_connection(shop: httpx.AsyncClient) -> dict[str, Any]:
    """A connection to a WooCommerce shop."""
    made: dict[str, Any] = good(await shop.post("/api/v1/connections", json=connection_body("woocommerce")), 201)
    return made


@pytest_asyncio.fixture
async def shopify(still: Litestar, connection: dict[str, Any]) -> AsyncIterator[Sender]:
    async with client_of(still) as client:
        yield Sender(client, connection["name"])


@pytest_asyncio.fixture
async def woo(still: Litestar, woo_connection: dict[str, Any]) -> AsyncIterator[Sender]:
    async with client_of(still) as client:
        yield Sender(client, woo_connection["name"])


def inbox_of(store: Store) -> Waiting:
    """All deliveries, by id."""
    return list(store.root["inbox"].find({}, sort=[("_id", 1)]))
