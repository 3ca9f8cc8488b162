"""The log stays one chain, whoever appends at the same time, and whatever is refused in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from pymongo import monitoring

from crm.audit import service, verifying
from crm.audit.appending import appender
from crm.audit.chain import START
from crm.audit.service import Action
from crm.contracts import contract
from crm.database.driver import Database, acting_as
from crm.errors import Unavailable
from crm.identity import Principal, Role
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

BOB = Principal("usr_bob", Role.SALES, "Bob", "user", "203.0.113.7", "req-1")


class Inserts(monitoring.CommandListener):
    """Counts the inserts into the log."""

    def __init__(self) -> None:
        self.count = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.count += event.command_name == "insert" and event.command["insert"] == "audit_log"

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing to do."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to do."""


@pytest_asyncio.fixture
async def processes(database: Database, store: Store) -> AsyncIterator[Sequence[Database]]:
    others = [Database.connect(store.settings, views=contract().views()) for _ in range(2)]
    yield [database, *others]
    for other in others:
        await other.close()


async def record(database: Database, *targets: str, role: Role = Role.SALES) -> None:
    with acting_as(database, role):
        await service.record(BOB, Action.CUSTOMER_READ, targets, {"n": 1})


async def proved(database: Database) -> list[tuple[str, str]]:
    with acting_as(database, Role.ADMIN):
        found = await verifying.verify(together=7)
    return [(fault.entry, fault.says) for fault in found.faults]


async def test_processes_append_to_one_chain(processes: Sequence[Database], store: Store) -> None:
    for round_ in range(4):
        await asyncio.gather(
            *(record(database, f"cus_{round_}_{n}_{i}") for n, database in enumerate(processes) for i in range(25))
        )
    rows = list(store.root["audit_log"].find({}).sort("_id", 1))
    assert [row["_id"] for row in rows] == [f"aud_{n:016}" for n in range(1, 301)]
    assert {row["targets"][0] for row in rows} == {
        f"cus_{round_}_{n}_{i}" for round_ in range(4) for n in range(3) for i in range(25)
    }
    assert await proved(processes[0]) == []


async def test_what_comes_at_the_same_time_is_one_insert(store: Store, database: Database) -> None:
    listener = Inserts()
    monitoring.register(listener)
    counted = Database.connect(store.settings, views=contract().views())
    monitoring._LISTENERS.command_listeners.remove(listener)
    try:
        await asyncio.gather(*(record(counted, f"cus_{i}") for i in range(200)))
        assert listener.count == 1
    finally:
        await counted.close()
    assert await proved(database) == []


@pytest.mark.parametrize("role", [Role.ADMIN, Role.SALES, Role.ANALYST, Role.INGEST, Role.TRACKING, Role.AUTH])
async def test_every_role_is_recorded(role: Role, database: Database, store: Store) -> None:
    await record(database, "cus_1", role=role)
    (row,) = store.root["audit_log"].find({})
    at = row.pop("at")
    assert at.tzinfo is not None
    assert row == {
        "_id": "aud_0000000000000001",
        "actor": {"id": "usr_bob", "name": "Bob", "kind": "user", "role": "sales"},
        "action": "customer.read",
        "targets": ["cus_1"],
        "details": {"n": 1},
        "address": "203.0.113.7",
        "request_id": "req-1",
        "prev": START.hash,
        "hash": row["hash"],
    }


async def test_one_that_is_refused_does_not_harm_its_neighbours(database: Database, store: Store) -> None:
    def act(target: str) -> dict[str, Any]:
        head: dict[str, Any] = {"actor": {"id": "u", "name": "Bob", "kind": "user", "role": "sales"}}
        return {**head, "at": store_time(store), "action": "a.b", "targets": [target], "details": {}}

    targets = ["cus_1", "x" * 201, "cus_2", "", "cus_3"]
    with acting_as(database, Role.SALES):
        answers = await asyncio.gather(*(appender().append(act(t)) for t in targets), return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(None), Unavailable, type(None), Unavailable, type(None)]
    assert [row["targets"] for row in store.root["audit_log"].find({}).sort("_id", 1)] == [
        ["cus_1"],
        ["cus_2"],
        ["cus_3"],
    ]
    assert await proved(database) == []


def store_time(store: Store) -> Any:
    return store.root.client.admin.command("hello")["localTime"]


async def test_a_change_is_announced_before_it_is_made_and_a_refusal_is_told(database: Database, store: Store) -> None:
    log = store.root["audit_log"]
    with acting_as(database, Role.SALES):
        async with service.around(BOB, Action.CUSTOMER_UPDATE, "cus_1", {"version": 3}):
            assert log.count_documents({}) == 1
        with pytest.raises(Unavailable):
            async with service.around(BOB, Action.CUSTOMER_UPDATE, "cus_1", {"version": 3}):
                raise Unavailable("no")
    assert [row["details"] for row in log.find({}).sort("_id", 1)] == [
        {"version": 3}, {"version": 3}, {"version": 3, "refused": "unavailable"},
    ]  # fmt: skip


async def test_nothing_is_done_that_cannot_be_recorded(store: Store, database: Database) -> None:
    away = Database.connect(
        store.settings.model_copy(update={"mongodb_password_auth": store.settings.mongodb_password_sales}),
        views=contract().views(),
    )
    done = False
    try:
        with acting_as(away, Role.SALES), pytest.raises(Unavailable):
            async with service.around(BOB, Action.CUSTOMER_UPDATE, "cus_1"):
                done = True
    finally:
        await away.close()
    assert not done
    assert store.root["audit_log"].count_documents({}) == 0
