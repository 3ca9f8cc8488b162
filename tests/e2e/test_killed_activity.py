"""kill -9 of the API right after an answer: what it had no time to tell of activity is told all the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.e2e.processes import crm
from tests.e2e.supervised import Site

pytestmark = pytest.mark.e2e

CUSTOMERS = 200
MOST_ROUNDS = 9
#: Ten seconds of silence until a process counts as gone, and its start and turn on a busy machine.
TOLD_WITHIN = 60.0
Rows = dict[str, Any]


@pytest.mark.parametrize("workers", [1, 2])
async def test_what_a_dead_process_had_no_time_to_tell_is_told(
    mongod: Path, tmp_path: Path, tell: Callable[[str], None], workers: int
) -> None:
    site = Site(tmp_path / "data", workers)
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=20)
    async with site.running():
        with MongoClient[Rows](site.server.root_uri, tz_aware=True) as mongodb:
            headers = {"Authorization": f"Bearer {site.key}"}
            async with httpx.AsyncClient(base_url=site.url(), headers=headers, timeout=10) as client:
                # A quick machine tells all before it is killed; then it gets another chance.
                for minute in range(MOST_ROUNDS):
                    at = began + timedelta(minutes=minute)
                    await viewed(client, at, f"SKU-{minute}")
                    # Answered this very moment; nobody does anything any more. All at once: a worker that outlives its
                    # main process by a moment still tells what it knows.
                    site.kill_api(lambda victims: victims[0])
                    left = CUSTOMERS - mongodb["crm"]["activities"].count_documents({"last_seen_at": at})
                    await site.until_ready()
                    if left:
                        break
            begun = time.monotonic()
            assert left > 0, "there was no time to tell all"
            await told(mongodb["crm"], at)
            tell(f"what the dead had not told of {left} was there {time.monotonic() - begun:.1f} s later")
            for row in mongodb["crm"]["activities"].find({}):
                assert [product["sku"] for product in row["viewed"]] == [f"SKU-{n}" for n in range(minute, -1, -1)]
                assert row["session"]["events"] == minute + 1
        report = await asyncio.to_thread(crm, "doctor", "--only=data", "--json", "--data-dir", str(site.folder))
        assert report.code == 0, report.out + report.err
    assert '"status": 500' not in site.log


async def viewed(client: httpx.AsyncClient, at: datetime, sku: str) -> None:
    """All look at a product; sent together, until it is answered."""
    events = [
        {
            "source": "web",
            "message_id": f"{customer}-{sku}",
            "type": "track",
            "name": "Product Viewed",
            "customer": {"email": f"c{customer}@example.com"},
            "occurred_at": at.isoformat(),
            "commerce": {"action": "product_viewed", "products": [{"sku": sku}]},
        }
        for customer in range(CUSTOMERS)
    ]
    async with asyncio.timeout(60):
        while True:
            with suppress(httpx.TransportError):
                answer = await client.post("/api/v1/events", json={"events": events})
                if answer.status_code == 200:
                    return
                assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.05)


async def told(db: Database[Rows], seen_at: datetime) -> None:
    """Everybody was seen then, and no word of a process that is gone is left."""
    async with asyncio.timeout(TOLD_WITHIN):
        while True:
            late = datetime.now(UTC) - timedelta(seconds=8)
            if (
                db.activities.count_documents({"last_seen_at": seen_at}) == CUSTOMERS
                and db.activity_watermarks.count_documents({"beat_at": {"$lt": late}}) == 0
            ):
                return
            await asyncio.sleep(0.1)
