"""Two processes that write at once: each has its own connections and its own group commit."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from litestar import Litestar

from crm.contracts import contract
from crm.customers.documents import MOST_EXTERNAL_IDS
from crm.database.driver import Database, acting_as
from crm.identity import Principal, Role
from crm.orders import service
from crm.orders.schemas import OrderPut, RefundIn
from crm.orders.service import Pushed
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

Body = dict[str, Any]
SENDERS = 64
SHOP = Principal("key_shop", Role.INGEST, "shop", "key")


class Processes:
    """Sends every second push to the other process, all at once."""

    def __init__(self, databases: Sequence[Database], body: Body) -> None:
        self.databases = databases
        self.body = body

    async def put(self, number: int, external_id: str, **changes: Any) -> Pushed:
        body = OrderPut.model_validate_json(json.dumps({**self.body, **changes}))
        with acting_as(self.databases[number % len(self.databases)], Role.INGEST):
            return await service.put(SHOP, "shop", external_id, body)

    async def orders_of(self, customers: Sequence[Body]) -> list[str]:
        """Push an order for each; the ids of the customers who got them."""
        puts = [self.put(n, f"o-{n}", customer=customer) for n, customer in enumerate(customers)]
        return [pushed.row["customer_id"] for pushed in await asyncio.gather(*puts)]


@pytest_asyncio.fixture
async def processes(app: Litestar, database: Database, store: Store, order_body: Body) -> AsyncIterator[Processes]:
    other = Database.connect(store.settings, views=contract().views())
    yield Processes([database, other], order_body)
    await other.close()


async def counted(store: Store, database: Database) -> list[int]:
    """How many orders each customer has by the totals."""
    ids = [row["_id"] for row in store.root["customers"].find({})]
    with acting_as(database, Role.INGEST):
        for customer_id in ids:
            await service.settled(customer_id)
    return [row["stats"]["orders_count"] for row in store.root["customers"].find({})]


@pytest.mark.parametrize(
    "names",
    [
        [{"email": "ann@example.com"}],
        [{"email": "ann@example.com"}, {"email": "ANN@example.com", "phone": "+44 1632 960123"}],
        [{"email": "ann@example.com", "external_id": f"c-{n}"} for n in range(SENDERS)],
        [{"external_id": "c-1", "email": "ann@example.com"}, {"external_id": "c-1"}],
        [{"external_id": "c-1"}],
    ],
    ids=["e-mail", "two spellings", "many ids of one e-mail", "id with and without e-mail", "id"],
)
async def test_there_is_never_a_second_customer(names: list[Body], processes: Processes, store: Store) -> None:
    ids = await processes.orders_of([names[n % len(names)] for n in range(SENDERS)])
    assert len(set(ids)) == 1
    (customer,) = store.root["customers"].find({})
    known = Counter(external["id"] for external in customer["external_ids"])
    assert known == Counter({name["external_id"] for name in names if "external_id" in name})
    assert len(known) <= MOST_EXTERNAL_IDS
    assert await counted(store, processes.databases[1]) == [SENDERS]


async def test_many_customers_at_once_are_each_there_once(processes: Processes, store: Store) -> None:
    people = [{"email": f"c{n % 8}@example.com", "external_id": f"c-{n % 8}"} for n in range(SENDERS)]
    ids = await processes.orders_of(people)
    assert Counter(Counter(ids).values()) == {8: 8}
    assert store.root["customers"].count_documents({}) == 8
    assert await counted(store, processes.databases[0]) == [8] * 8


async def test_addresses_from_two_processes_are_each_there_once(processes: Processes, store: Store) -> None:
    places = [{"line1": f"{n % 16} High Street", "city": "Leeds"} for n in range(SENDERS)]
    await asyncio.gather(*[processes.put(n // 2, f"o-{n}", shipping_address=place) for n, place in enumerate(places)])
    (customer,) = store.root["customers"].find({})
    assert Counter(address["line1"] for address in customer["addresses"]) == Counter(
        f"{n} High Street" for n in range(16)
    )


async def test_one_order_from_two_processes_is_stored_once(processes: Processes, store: Store) -> None:
    found = await asyncio.gather(*[processes.put(n, "o-1") for n in range(SENDERS)])
    results = Counter(pushed.result for pushed in found)
    assert results == {"created": 1, "unchanged": SENDERS - 1}
    assert store.root["orders"].count_documents({}) == store.root["customers"].count_documents({}) == 1
    assert store.root["order_versions"].count_documents({}) == 0


async def test_versions_from_two_processes_end_with_the_newest(processes: Processes, store: Store) -> None:
    times = [f"2026-02-01T00:00:{(n * 23) % SENDERS % 60:02}.{n:03}Z" for n in range(SENDERS)]
    puts = [processes.put(n, "o-1", source_updated_at=at, note=at) for n, at in enumerate(times)]
    found = await asyncio.gather(*puts)
    (order,) = store.root["orders"].find({})
    assert order["note"] == max(times)
    results = Counter(pushed.result for pushed in found)
    assert results["created"] == 1
    assert order["version"] == results["created"] + results["updated"]
    before = {"order_id": order["_id"], "version": {"$lt": order["version"]}}
    assert store.root["order_versions"].count_documents(before) == order["version"] - 1


async def test_a_refund_from_two_processes_is_recorded_once(processes: Processes, store: Store) -> None:
    await processes.put(0, "o-1")

    async def give_back(number: int) -> bool:
        with acting_as(processes.databases[number % 2], Role.INGEST):
            wanted = RefundIn.model_validate_json(json.dumps({"id": f"r-{number // 2 % 4}", "amount": "1"}))
            return (await service.refund_external(SHOP, "shop", "o-1", wanted)).new

    new = await asyncio.gather(*[give_back(n) for n in range(32)])
    assert sum(new) == 4
    (order,) = store.root["orders"].find({})
    assert (str(order["refunded"]), len(order["refunds"]), order["version"]) == ("4.00", 4, 5)
    await counted(store, processes.databases[0])
    (customer,) = store.root["customers"].find({})
    assert str(customer["stats"]["totals"][0]["net"]) == "11.19"
