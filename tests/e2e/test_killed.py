"""kill -9 of the API, of MongoDB and of both at random moments of pushing: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from tests.e2e.persistent import SENDERS, kill_at_random
from tests.e2e.processes import crm, descendants, wait_until_gone
from tests.e2e.pushed import every_order_is_there_with_its_content, everything_is_there_once, totals_are_settled
from tests.e2e.pushing import Senders, planned
from tests.e2e.supervised import TIMEOUT_MS, Site

pytestmark = pytest.mark.e2e

ORDERS = 2_000
KILLS = 3
#: Until the service has added up what a dead process left: three operations, 5 s, and its turn.
TAKEN_OVER_WITHIN = 3 * TIMEOUT_MS / 1000 + 5 + 15
Rows = dict[str, Any]


@pytest.mark.parametrize(("target", "workers"), [("api", 1), ("mongod", 1), ("both", 2)])
async def test_nothing_acknowledged_is_lost_or_doubled(
    mongod: Path, tmp_path: Path, tell: Callable[[str], None], target: str, workers: int
) -> None:
    seed = secrets.randbits(32)
    dice = random.Random(seed)
    tell(f"{target} is killed, {workers} workers, seed {seed}")
    site = Site(tmp_path / "data", workers)
    async with site.running():
        first_pid = site.api_pid
        limits = httpx.Limits(max_connections=SENDERS, max_keepalive_connections=SENDERS)
        headers = {"Authorization": f"Bearer {site.key}"}
        async with httpx.AsyncClient(base_url=site.url(), headers=headers, limits=limits, timeout=10) as client:
            senders = Senders(client, planned(ORDERS, dice), dice)
            ledger = senders.ledger
            begun = time.monotonic()
            async with asyncio.timeout(150):
                killed, _ = await asyncio.gather(
                    kill_at_random(site, target, KILLS, ledger, senders.size, dice), senders.run()
                )
            seconds = time.monotonic() - begun
            tell(f"{seconds:.0f} s, killed: {', '.join(killed)}; {ledger}, restarts {site.restarts}")
            assert len(killed) == KILLS
            assert len(ledger.acknowledged) == ORDERS
            await every_order_is_there_with_its_content(client, ledger)
        if target == "mongod":
            assert (site.api_pid, site.restarts["api"]) == (first_pid, 0), "it connects again by itself"
        with MongoClient[Rows](site.server.root_uri, tz_aware=True) as mongodb:
            db = mongodb["crm"]
            begun = time.monotonic()
            await totals_are_settled(db, TAKEN_OVER_WITHIN)
            tell(f"totals of what the dead left were there {time.monotonic() - begun:.1f} s later")
            everything_is_there_once(db, ledger)
        await site.until_ready()
        report = await asyncio.to_thread(crm, "doctor", "--only=data", "--json", "--data-dir", str(site.folder))
        assert report.code == 0, report.out + report.err
        assert not any(checked["findings"] for checked in json.loads(report.out)["checks"])
        assert json.loads(report.out)["checks"][0]["looked_at"] == 0, "nothing was left for the doctor to add up"
    assert '"status": 500' not in site.log
    # A start that finds no database ends with one, and is tried again.
    assert target == "both" or "Traceback" not in site.log


async def test_workers_end_with_their_main_process(mongod: Path, tmp_path: Path) -> None:
    """Else they would go on serving, unwatched, beside those of the next start."""
    site = Site(tmp_path / "data", workers=2)
    async with site.running():
        main, workers = site.api_pid, descendants(site.api_pid)
        assert len(workers) >= 2
        site.kill_api(lambda _victims: "main")
        await asyncio.to_thread(wait_until_gone, workers)
        await site.until_ready()
        assert site.api_pid != main
