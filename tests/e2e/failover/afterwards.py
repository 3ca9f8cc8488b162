"""Whether all is well after a failure: nothing lost, nothing doubled, nothing left to do, all members of one mind."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
from pymongo import MongoClient

from tests.e2e.failover.load import Load
from tests.e2e.failover.members import Members
from tests.e2e.processes import crm
from tests.e2e.pushed import every_order_is_there_with_its_content, everything_is_there_once, totals_are_settled
from tests.e2e.supervised import Site
from tests.e2e.tracked import each_is_there_once, everybody_has_his_own, everybody_was_last_seen

Rows = dict[str, Any]


async def all_is_well(site: Site, members: Members, load: Load, tell: Callable[[str], None]) -> None:
    """To be called when the load has ended, whatever it went through."""
    begun = time.monotonic()
    #: Writes of unknown outcome are taken for arrived after three operations and 5 s; then the service has its turn.
    grace = 3 * site.timeout_ms / 1000 + 25
    headers = {"Authorization": f"Bearer {site.key}"}
    async with httpx.AsyncClient(base_url=site.url(), headers=headers, timeout=30) as client:
        await every_order_is_there_with_its_content(client, load.orders.ledger)
    with MongoClient[Rows](site.server.root_uri, tz_aware=True) as mongodb:
        await totals_are_settled(mongodb["crm"], grace)
        everything_is_there_once(mongodb["crm"], load.orders.ledger)
    each_is_there_once(site, load.events.ledger, tell)
    await _doctor_is_content(site, grace)
    async with site.staff() as client:
        await everybody_has_his_own(client, load.events.ledger)
        await everybody_was_last_seen(client, load.events.ledger)
    await asyncio.to_thread(site.end_api)  # it says each second that it is there
    collections = await asyncio.to_thread(members.agree)
    tell(f"{collections} collections are the same on all members; checked in {time.monotonic() - begun:.0f} s")
    assert '"status": 500' not in site.log


async def _doctor_is_content(site: Site, within: float) -> None:
    """Sooner or later, and without help: what writes of unknown outcome have left is settled by the service."""
    begun = time.monotonic()
    while True:
        report = await asyncio.to_thread(crm, "doctor", "--only=data", "--json", "--data-dir", str(site.folder))
        findings = [check for check in json.loads(report.out)["checks"] if check["findings"]]
        if not findings:
            break
        assert time.monotonic() - begun < within, findings
        await asyncio.sleep(1)
    assert report.code == 0, report.out + report.err
