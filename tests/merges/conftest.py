"""Two records of one person, of whom nothing is due any more."""

from __future__ import annotations

import httpx
import pytest_asyncio

from tests.fixtures.store import Store, totals_settled
from tests.merges.people import Body, Two, activity_told, read, two


@pytest_asyncio.fixture
async def people(admin: httpx.AsyncClient, order_body: Body, store: Store) -> Two:
    found = await two(admin, order_body)
    await activity_told(store, found.ann["id"], found.bob["id"])
    await totals_settled(store)
    return Two(*[await read(admin, one["id"]) for one in (found.ann, found.bob)])
