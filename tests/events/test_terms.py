"""A key is held to its terms at POST /api/v1/events, too: else they could be gone around."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from litestar import Litestar

from crm.auth.schemas import NewKey
from crm.database.driver import Database
from tests.fixtures.answers import good, refused
from tests.fixtures.api import client_of
from tests.fixtures.store import Store
from tests.fixtures.tracking import Keys, keys_of

pytestmark = pytest.mark.mongo
URL = "/api/v1/events"


def event(number: int, **changes: Any) -> dict[str, Any]:
    made = {"source": "web", "message_id": f"m-{number}", "type": "page", "occurred_at": "2026-01-01T00:00:00Z"}
    return {**made, "anonymous_id": "a-1", **changes}


def batch(*events: dict[str, Any]) -> dict[str, Sequence[dict[str, Any]]]:
    return {"events": events}


@pytest.fixture
def keys(app: Litestar, store: Store, database: Database) -> Iterator[Keys]:
    with keys_of(store, database) as made:
        yield made


@asynccontextmanager
async def sender(app: Litestar, key: NewKey) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, Authorization=f"Bearer {key.key}") as client:
        yield client


@pytest.mark.parametrize("kind", ["tracking", "ingest"])
async def test_types(kind: str, keys: Keys, app: Litestar, store: Store) -> None:
    async with sender(app, await keys(kind, event_types=["page"], source="web")) as client:
        mixed = batch(event(1), event(2, type="track", name="Seen"))
        assert "type" in refused(await client.post(URL, json=mixed), 403, "forbidden")["detail"]
        assert store.root["events"].count_documents({}) == 0
        assert good(await client.post(URL, json=batch(event(1))))["accepted"] == 1


async def test_a_public_key_has_its_own_source(keys: Keys, app: Litestar, store: Store) -> None:
    async with sender(app, await keys(source="shop-uk")) as client:
        mixed = batch(event(1, source="shop-uk"), event(2))
        assert "source" in refused(await client.post(URL, json=mixed), 403, "forbidden")["detail"]
        assert store.root["events"].count_documents({}) == 0
        assert good(await client.post(URL, json=batch(event(1, source="shop-uk"))))["accepted"] == 1
    async with sender(app, await keys("ingest", source="backend")) as client:
        assert good(await client.post(URL, json=batch(event(3), event(4, source="pos"))))["accepted"] == 2


async def test_both_ways_share_the_limit(keys: Keys, app: Litestar) -> None:
    key = await keys(events_per_second=1)
    async with sender(app, key) as client:
        good(await client.post(URL, json=batch(*[event(n) for n in range(50)])))
        answer = await client.post(URL, json=batch(event(50)))
        refused(answer, 429, "rate_limited")
        assert int(answer.headers["retry-after"]) > 30
        refused(await client.post("/v1/page", json={"anonymousId": "a-1"}), 429, "rate_limited")
