"""Single pushes that are written together: each sender gets its own answer, and who is one too many is told so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from crm.database.coalesce import GroupCommit
from crm.database.driver import Database, acting_as
from crm.errors import CrmError
from crm.identity import Role
from crm.orders import pushing
from crm.orders.pushing import Prepared, Pushed
from tests.fixtures.answers import good, refused
from tests.fixtures.shop import Body
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

SENDERS = 48


async def send(client: httpx.AsyncClient, body: Body, number: int, **changes: Any) -> httpx.Response:
    changes = {"customer": {"email": f"c{number}@example.com"}, **changes}
    return await client.put(f"/api/v1/orders/shop/{number}", json={**body, **changes})


async def test_what_the_database_refuses_in_a_batch_is_its_senders_alone(
    ingest: httpx.AsyncClient, order_body: Body, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    put_many, prepare = pushing.put_many, pushing.prepare

    async def watched(batch: Sequence[Prepared], **others: Any) -> Any:
        batches.append(len(batch))
        return await put_many(batch, **others)

    def careless(principal: Any, push: Any, **others: Any) -> Prepared:
        """Lets through what only the validator finds: a total that is a penny off."""
        prepared = prepare(principal, push, **others)
        if int(push.external_id) % 8 == 3:
            prepared.fields["shipping"] += 1
        return prepared

    monkeypatch.setattr(pushing, "put_many", watched)
    monkeypatch.setattr("crm.orders.service.prepare", careless)
    answers = await asyncio.gather(*(send(ingest, order_body, n) for n in range(SENDERS)))
    assert max(batches) > 8, "they were written together"
    for number, answer in enumerate(answers):
        if number % 8 == 3:
            refused(answer, 422, "rule_violated")
        else:
            assert good(answer, 201)["external_id"] == str(number)
    stored = {row["external_id"] for row in store.root["orders"].find({})}
    assert stored == {str(number) for number in range(SENDERS) if number % 8 != 3}


async def test_one_too_many_is_asked_to_come_again(
    ingest: httpx.AsyncClient, order_body: Body, database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work, go_on = asyncio.Event(), asyncio.Event()

    async def slow(batch: Sequence[Prepared]) -> Sequence[Pushed | CrmError]:
        at_work.set()
        await go_on.wait()
        with acting_as(database, Role.INGEST):
            return await pushing.put_many(batch)

    key = ("orders.together", Role.INGEST, store.settings.default_phone_region)
    monkeypatch.setitem(database.kept, key, GroupCommit("orders", slow, most_waiting=2))
    tasks = [asyncio.create_task(send(ingest, order_body, 0))]
    await at_work.wait()
    tasks += [asyncio.create_task(send(ingest, order_body, n)) for n in range(1, 6)]
    done: set[Any] = set()
    async with asyncio.timeout(10):
        while len(done) < 3:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=0.05)
    for answer in [task.result() for task in done]:
        assert "waiting" in refused(answer, 503, "unavailable")["detail"]
        assert answer.headers["retry-after"] == "1"
    go_on.set()
    codes = Counter(answer.status_code for answer in await asyncio.gather(*tasks))
    assert codes == {201: 3, 503: 3}
    assert store.root["orders"].count_documents({}) == 3
