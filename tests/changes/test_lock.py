"""One apply at a time: the lock, its lease, and who has to wait for whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from crm.changes import lock
from crm.clock import now
from crm.database.driver import Database, acting_as
from crm.errors import ApplyInProgress, LeaseLost
from crm.identity import Role
from crm.ops.provision import Given, provision
from tests.e2e.processes import crm
from tests.fixtures.rows import schema_lock_row
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo


@pytest_asyncio.fixture(autouse=True)
async def _administration(database: Database) -> AsyncIterator[None]:
    with acting_as(database, Role.ADMIN):
        yield


async def test_a_second_one_is_told_who_is_at_it(store: Store) -> None:
    async with lock.only_one("ann on a host"):
        with pytest.raises(ApplyInProgress, match=r"changed by ann on a host, process \d+, since 20\d\d-.* UTC"):
            async with lock.only_one("bob on another"):
                pass
    async with lock.only_one("bob on another"):
        (row,) = store.root["schema_locks"].find()
        assert row["holder"].startswith("bob on another, process ")


async def test_of_many_at_once_one_is_at_it() -> None:
    inside, most, done = 0, 0, 0

    async def work(name: int) -> None:
        nonlocal inside, most, done
        async with lock.only_one(f"worker {name}", wait=60):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1
            done += 1

    await asyncio.gather(*(work(name) for name in range(4)))
    assert (most, done) == (1, 4)


async def test_the_lock_of_a_dead_run_ends_by_itself(store: Store) -> None:
    left = schema_lock_row(holder="a dead one", leased_until=now() + timedelta(seconds=1))
    store.root["schema_locks"].insert_one(left)
    with pytest.raises(ApplyInProgress, match="a dead one"):
        async with lock.only_one("ann"):
            pass
    async with lock.only_one("ann", wait=60) as held:
        held.check()
        (row,) = store.root["schema_locks"].find()
        assert row["lease"] == held.lease
        assert row["taken_at"] >= left["leased_until"]


async def test_the_lease_is_renewed_while_its_run_lives(store: Store) -> None:
    async with lock.only_one("ann", seconds=3) as held:
        (taken,) = store.root["schema_locks"].find()
        async with asyncio.timeout(30):
            while True:
                (row,) = store.root["schema_locks"].find()
                if row["leased_until"] > taken["leased_until"]:
                    break
                await asyncio.sleep(0.05)
        held.check()
    (row,) = store.root["schema_locks"].find()
    assert row["leased_until"] <= now() + timedelta(seconds=1), "released"


async def test_a_run_whose_lock_another_took_stops(store: Store) -> None:
    async with lock.only_one("ann", seconds=0.5) as held:
        # It was asleep meanwhile, and another one took over.
        others = schema_lock_row(leased_until=now() + timedelta(minutes=1))
        store.root["schema_locks"].replace_one({"_id": "apply"}, others)
        async with asyncio.timeout(30):
            while True:
                try:
                    held.check()
                except LeaseLost:
                    break
                await asyncio.sleep(0.05)
    assert store.root["schema_locks"].find_one() == others, "what the other holds is left alone"


async def test_apply_takes_it_and_reading_does_not(store: Store, root_uri: str) -> None:
    held = schema_lock_row(holder="ann on a host, process 7", leased_until=now() + timedelta(minutes=5))
    store.root["schema_locks"].insert_one(held)
    with pytest.raises(ApplyInProgress, match="ann on a host, process 7"):
        await provision(root_uri, store.settings, given=Given(wait=0))
    settings = {"CRM_MONGODB_DATABASE": store.root.name}
    uri = ["--mongodb-uri", root_uri]
    refused = await asyncio.to_thread(lambda: crm("db", "apply", *uri, **settings))
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("crm: The database is being changed by ann on a host, process 7, since ")
    assert len(refused.err.splitlines()) == 1
    checked = await asyncio.to_thread(lambda: crm("db", "check", *uri, **settings))
    assert checked.code == 0, checked
