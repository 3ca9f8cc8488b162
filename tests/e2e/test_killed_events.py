"""kill -9 while events pour in: nothing acknowledged is lost or doubled, and all that follows from it is right."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.e2e.persistent import SENDERS, kill_at_random
from tests.e2e.processes import crm
from tests.e2e.supervised import TIMEOUT_MS, Site
from tests.e2e.tracked import each_is_there_once, everybody_has_his_own, everybody_was_last_seen
from tests.e2e.tracking import SOURCE, Senders, planned

pytestmark = pytest.mark.e2e

PARCELS = 1_500
KILLS = 3
#: Until the service has looked again at what a dead process had received: its beat is 10 s old, and its turn.
TAKEN_OVER_WITHIN = 10 + 3 * TIMEOUT_MS / 1000 + 15


@pytest.mark.parametrize(("target", "workers"), [("api", 1), ("mongod", 1), ("both", 2)])
async def test_no_acknowledged_event_is_lost_or_doubled(
    mongod: Path, tmp_path: Path, tell: Callable[[str], None], target: str, workers: int
) -> None:
    seed = secrets.randbits(32)
    dice = random.Random(seed)
    tell(f"{target} is killed, {workers} workers, seed {seed}")
    site = Site(tmp_path / "data", workers)
    async with site.running():
        begins = (datetime.now(UTC) - timedelta(hours=1)).replace(microsecond=0)
        key = await site.add_key("ingest", SOURCE)
        limits = httpx.Limits(max_connections=SENDERS, max_keepalive_connections=SENDERS)
        async with httpx.AsyncClient(base_url=site.url(), auth=(key, ""), limits=limits, timeout=10) as client:
            senders = Senders(client, planned(PARCELS, dice, begins), dice)
            ledger = senders.ledger
            begun = time.monotonic()
            async with asyncio.timeout(150):
                killed, _ = await asyncio.gather(
                    kill_at_random(site, target, KILLS, ledger, senders.size, dice), senders.run()
                )
            seconds = time.monotonic() - begun
            tell(f"{seconds:.0f} s, killed: {', '.join(killed)}; {ledger}, restarts {site.restarts}")
            assert len(killed) == KILLS
        each_is_there_once(site, ledger, tell)
        async with site.staff() as client:
            await everybody_has_his_own(client, ledger)
            await activities_are_settled(site, tell)
            await everybody_was_last_seen(client, ledger)
    assert '"status": 500' not in site.log


async def activities_are_settled(site: Site, tell: Callable[[str], None]) -> None:
    """Sooner or later, and without help, the doctor finds nothing that a dead process left."""
    begun = time.monotonic()
    async with asyncio.timeout(TAKEN_OVER_WITHIN + 30):
        while True:
            report = await asyncio.to_thread(crm, "doctor", "--only=data", "--json", "--data-dir", str(site.folder))
            findings = [check for check in json.loads(report.out)["checks"] if check["findings"]]
            if not findings:
                break
            assert time.monotonic() - begun < TAKEN_OVER_WITHIN, findings
            await asyncio.sleep(1)
    assert report.code == 0, report.out + report.err
    tell(f"what the dead left was there {time.monotonic() - begun:.1f} s later")
