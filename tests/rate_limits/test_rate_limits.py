"""A key's limit: over two connections to the store, as two processes have them, and by the server's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from pymongo.errors import OperationFailure

from crm.contracts import contract, documents
from crm.database.collection import Row
from crm.database.driver import Database, acting_as
from crm.database.query import UpdatePipeline
from crm.errors import RateLimited, Unavailable
from crm.identity import Role
from crm.rate_limits import service
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
KEY = "key_1"


@pytest_asyncio.fixture
async def processes(store: Store) -> AsyncIterator[Sequence[Database]]:
    """Two that know nothing of each other but the store."""
    made = [Database.connect(store.settings, views=contract().views()) for _ in range(2)]
    for one in made:
        await one.initialise(documents())
    yield made
    for one in made:
        await one.close()


async def passes(process: Database, events: int, per_second: int) -> bool:
    # As the role of a public key: what it may not write itself is counted all the same.
    with acting_as(process, Role.TRACKING):
        try:
            await service.spend(KEY, events, per_second)
        except RateLimited:
            return False
        return True


def limits(store: Store) -> list[dict[str, Any]]:
    return list(store.root["rate_limits"].find({}))


async def test_two_processes_share_a_limit(processes: Sequence[Database], store: Store) -> None:
    passed = 0
    started = datetime.now(UTC)
    for turn in range(600):
        passed += await passes(processes[turn % 2], 1, 10)
    earned = (datetime.now(UTC) - started).total_seconds() * 10
    assert service.BURST * 10 <= passed <= service.BURST * 10 + earned + 2
    assert [row["_id"] for row in limits(store)] == ["key_1:10"]


async def test_many_at_once_get_no_more(processes: Sequence[Database]) -> None:
    started = datetime.now(UTC)
    answers = await asyncio.gather(*(passes(processes[n % 2], 5, 20) for n in range(200)))
    earned = (datetime.now(UTC) - started).total_seconds() * 20
    # Each process may find room for one more batch than there is, and holds a tenth of a second's worth.
    assert service.BURST * 20 <= sum(answers) * 5 <= service.BURST * 20 + earned + 2 * 5


async def test_a_batch_that_is_larger_than_the_limit_passes_and_is_paid_for(
    processes: Sequence[Database], store: Store
) -> None:
    assert await passes(processes[0], 2_500, 10)
    assert not await passes(processes[0], 1, 10)
    assert not await passes(processes[1], 1, 10)
    (row,) = limits(store)
    assert (row["spent_until"] - row["asked_at"]).total_seconds() == pytest.approx(250, abs=5)


async def test_who_is_refused_learns_when_there_is_room_again(processes: Sequence[Database]) -> None:
    assert await passes(processes[0], 400, 10)
    with acting_as(processes[1], Role.TRACKING), pytest.raises(RateLimited) as caught:
        await service.spend(KEY, 1, 10)
    assert caught.value.retry_after in {29, 30}
    assert (caught.value.code, caught.value.status) == ("rate_limited", 429)


async def test_time_gives_it_back(processes: Sequence[Database], store: Store) -> None:
    assert await passes(processes[0], 2_500, 10)
    assert not await passes(processes[1], 1, 10)
    back = {"$set": {"spent_until": datetime.now(UTC) + timedelta(seconds=service.BURST - 1)}}
    store.root["rate_limits"].update_one({}, back)
    assert not await passes(processes[1], 1, 10)  # it does not ask before it was told there would be room
    processes[1].kept.clear()
    assert await passes(processes[1], 1, 10)


async def test_another_limit_of_the_same_key_begins_afresh(processes: Sequence[Database]) -> None:
    assert await passes(processes[0], 2_500, 10)
    assert not await passes(processes[0], 1, 10)
    assert await passes(processes[0], 1, 100)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The limits that the database was asked for."""
    ids: list[str] = []
    take = service._taken

    async def noted(limit_id: str, change: UpdatePipeline) -> Row:
        ids.append(limit_id)
        return await take(limit_id, change)

    monkeypatch.setattr(service, "_taken", noted)
    return ids


async def test_most_requests_ask_nobody(processes: Sequence[Database], asked: list[str]) -> None:
    assert all([await passes(processes[0], 1, 1_000) for _ in range(1_000)])
    assert len(asked) == 10


async def test_a_limit_that_is_used_up_is_not_asked_again(processes: Sequence[Database], asked: list[str]) -> None:
    assert await passes(processes[0], 2_500, 10)
    assert not any([await passes(processes[0], 1, 10) for _ in range(100)])
    assert len(asked) == 2


async def test_while_the_database_is_away_everything_passes(
    processes: Sequence[Database], monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    tries = 0

    async def away(_limit_id: str, _change: UpdatePipeline) -> Row:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0.05)
        raise Unavailable("It is away.")

    monkeypatch.setattr(service, "_taken", away)
    assert all(await asyncio.gather(*(passes(processes[0], 1, 1) for _ in range(100))))
    assert tries == 1  # and they do not wait for it one after the other
    assert limits(store) == []


async def test_a_public_key_cannot_touch_its_limit(processes: Sequence[Database], store: Store) -> None:
    await passes(processes[0], 1, 10)
    with store.client(Role.TRACKING) as client, pytest.raises(OperationFailure, match="not authorized"):
        client[store.settings.mongodb_database]["rate_limits"].delete_one({})
