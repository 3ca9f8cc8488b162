"""kill -9 of the primary of three while orders and events pour in: the short form of `make test-failover`."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.failover.afterwards import all_is_well
from tests.e2e.failover.load import under_load
from tests.e2e.failover.members import Members
from tests.e2e.supervised import Site

pytestmark = pytest.mark.e2e


async def test_another_member_takes_over_and_nothing_acknowledged_is_lost_or_doubled(
    mongod: Path, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    """How long it takes is shown and not asserted: a busy machine holds its elections when it gets to it."""
    seed = secrets.randbits(32)
    tell(f"the primary of three members is killed, seed {seed}")
    site = Site(tmp_path / "data", workers=1, members=3, timeout_ms=5_000)
    async with site.running():
        members = Members(site)
        async with under_load(site, random.Random(seed)) as load:
            await load.flows(2)
            victim = await asyncio.to_thread(members.primary)
            site.mongod_stays_down = True
            members.kill(victim)
            taken_over_by = await asyncio.to_thread(members.primary)
            assert taken_over_by != victim
            site.mongod_stays_down = False
            await load.flows(3)
        load.tell(tell)
        await all_is_well(site, members, load, tell)
    assert site.restarts == {"mongod": 1, "api": 0}
