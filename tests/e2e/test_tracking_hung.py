"""Tracking clients while MongoDB hangs: they are told to come again, and what they sent does not fill the memory."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from crm.processes import resident_bytes
from tests.e2e.supervised import Site
from tests.fixtures.tracking import batch, message

pytestmark = pytest.mark.e2e

_REQUESTS = 400
#: Read and kept they took 700 MB. It holds 16 MB of bodies; the server keeps up to a third of a MB for each connection.
_MOST_GROWN = 250_000_000


async def test_bodies_that_wait_for_a_key_do_not_fill_the_memory(
    mongod: Path, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    site = Site(tmp_path / "data", workers=1)
    async with site.running(), httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as client:
        key = await site.add_key("tracking", "web")
        body = batch(*[message(properties={"text": "x" * 1_000}) for _ in range(400)], writeKey=key)
        assert 450_000 < len(body) < 512_000

        async def send() -> httpx.Response:
            return await client.post(site.url("/v1/batch"), content=body)

        before = peak = resident_bytes(site.api_pid) or 0
        os.kill(site.server.pid, signal.SIGSTOP)
        try:
            sent = [asyncio.create_task(send()) for _ in range(_REQUESTS)]
            while not all(task.done() for task in sent):
                peak = max(peak, resident_bytes(site.api_pid) or 0)
                await asyncio.sleep(0.1)
        finally:
            os.kill(site.server.pid, signal.SIGCONT)
        answers = [await task for task in sent]
        tell(f"{Counter(answer.status_code for answer in answers)}, grown by {(peak - before) / 1e6:.0f} MB")
        assert {answer.status_code for answer in answers} == {503}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
        assert peak - before < _MOST_GROWN
        await site.until_ready()
        assert (await send()).raise_for_status().json()["accepted"] == 400
