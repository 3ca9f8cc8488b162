"""/metrics of a server with several workers: whichever of them answers tells what all have counted."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import descendants
from tests.e2e.supervised import Site

pytestmark = pytest.mark.e2e
WORKERS = 3
REQUESTS = 40
ROUTE = re.compile(r'^crm_requests_total\{[^}]*path="/api/v1/auth/me"[^}]*worker="(\d+)"[^}]*\} (\S+)$', re.MULTILINE)
PROCESS = re.compile(r'^process_resident_memory_bytes\{worker="(\d+)"\} ', re.MULTILINE)


async def scraped(site: Site) -> str:
    """On a connection of its own, so that any of the workers may get it."""
    async with httpx.AsyncClient(timeout=10) as client:
        return (await client.get(site.url("/metrics"))).raise_for_status().text


async def all_there(site: Site, gone: int = 0) -> set[int]:
    """Wait until all workers tell, without one that was killed; their process ids."""
    async with asyncio.timeout(30):
        while True:
            with suppress(httpx.TransportError):  # it was just that one
                workers = {int(pid) for pid in PROCESS.findall(await scraped(site))}
                if len(workers) == WORKERS and gone not in workers:
                    return workers
            await asyncio.sleep(0.05)


async def asked(site: Site, times: int) -> None:
    for _ in range(times):
        async with httpx.AsyncClient(timeout=10) as client:
            await client.get(site.url("/api/v1/auth/me"))


def counted(text: str) -> dict[str, float]:
    return {worker: float(value) for worker, value in ROUTE.findall(text)}


async def test_any_worker_tells_what_all_have_counted(mongod: Path, tmp_path: Path) -> None:
    site = Site(tmp_path, workers=WORKERS)
    async with site.running():
        await all_there(site)
        await asyncio.gather(*(asked(site, REQUESTS // 8) for _ in range(8)))
        texts = [await scraped(site) for _ in range(10)]
        assert {sum(counted(text).values()) for text in texts} == {REQUESTS}
        assert len(counted(texts[0])) > 1, "the requests went to several workers"
        assert all(text.count("# TYPE crm_requests_total ") == 1 for text in texts)

        workers = {int(pid) for pid in PROCESS.findall(texts[0])}
        assert len(workers) == WORKERS
        assert workers <= descendants(site.api_pid).keys()

        victim = workers.pop()
        os.kill(victim, signal.SIGKILL)
        assert workers < await all_there(site, gone=victim)
        assert "crm_workers_silent 0.0" in await scraped(site)
