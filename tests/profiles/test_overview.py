"""GET /customers/{id}/overview: a customer with the latest of everything, in four commands."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from crm.app import create_app
from crm.clock import now
from crm.contracts import contract
from crm.database.driver import Database
from crm.orders import projection
from tests.fixtures.answers import good, refused
from tests.fixtures.api import client_of, running
from tests.fixtures.commands import COMMANDS
from tests.fixtures.rows import activity_row
from tests.fixtures.shop import Body, of, push, stats
from tests.fixtures.store import Store, totals_settled

pytestmark = pytest.mark.mongo


def url(customer_id: str) -> str:
    return f"/api/v1/customers/{customer_id}/overview"


async def customer(client: httpx.AsyncClient) -> str:
    new = {"email": "ann@example.com", "last_name": "Example", "external_ids": [{"source": "shop", "id": "c-1"}]}
    customer_id: str = good(await client.post("/api/v1/customers", json=new), 201)["id"]
    return customer_id


async def noted(client: httpx.AsyncClient, customer_id: str, **fields: Any) -> str:
    body = {"customer_id": customer_id, "subject": "Mugs", **fields}
    interaction_id: str = good(await client.post("/api/v1/interactions", json=body), 201)["id"]
    return interaction_id


async def consented(client: httpx.AsyncClient, customer_id: str, channel: str, status: str) -> None:
    word = {"channel": channel, "status": status, "at": "2026-01-31T12:00:00Z", "source": "checkout"}
    good(await client.post(f"/api/v1/customers/{customer_id}/consents", json=word), 201)


async def test_of_somebody_of_whom_there_is_nothing_yet(sales: httpx.AsyncClient) -> None:
    customer_id = await customer(sales)
    assert good(await sales.get(url(customer_id))) == {
        "customer": good(await sales.get(f"/api/v1/customers/{customer_id}")),
        "consents": [], "orders": [], "cart": None, "viewed": [], "open_tasks": [], "interactions": [],
    }  # fmt: skip


async def test_everything_is_as_its_own_route_shows_it(
    admin: httpx.AsyncClient, sales: httpx.AsyncClient, store: Store, order_body: Body
) -> None:
    customer_id = await customer(sales)
    for day in range(1, 13):
        placed = {"placed_at": f"2026-01-{day:02}T12:00:00Z", **of(f"{day}.00")}
        await push(admin, order_body, f"o-{day}", customer={"id": customer_id}, **placed)
    await push(admin, order_body, "other", customer={"email": "bob@example.com"})
    for hour in range(12):
        await noted(sales, customer_id, kind="note", occurred_at=f"2026-02-01T{hour:02}:00:00Z")
    later, sooner = (f"2027-02-{day:02}T00:00:00Z" for day in (2, 1))
    await noted(sales, customer_id, kind="task", due_at=later, occurred_at="2026-01-01T00:00:00Z")
    await noted(sales, customer_id, kind="task", due_at=sooner, occurred_at="2026-03-01T00:00:00Z")
    await noted(sales, customer_id, kind="task", due_at=sooner, status="done", occurred_at="2026-01-02T00:00:00Z")
    for channel, status in (("sms", "granted"), ("email", "granted"), ("sms", "withdrawn")):
        await consented(sales, customer_id, channel, status)
    seen = activity_row(_id=customer_id, cart_at=now() - timedelta(minutes=5))
    del seen["session"]["entry_url"], seen["session"]["truncated"]  # as of most visits
    store.root["activities"].insert_one(seen)

    body = good(await sales.get(url(customer_id)))
    assert body["customer"] == good(await sales.get(f"/api/v1/customers/{customer_id}"))
    assert body["customer"]["stats"]["totals"] == [
        {"currency": "GBP", "gross": "78.00", "refunded": "0.00", "net": "78.00"}
    ]
    orders = good(await sales.get(f"/api/v1/customers/{customer_id}/orders"))["items"]
    assert body["orders"] == orders[:10]
    talks = good(await sales.get("/api/v1/interactions", params={"customer_id": customer_id}))["items"]
    assert body["interactions"] == talks[:10]
    assert [task["due_at"] for task in body["open_tasks"]] == [sooner, later]
    assert all(task in talks for task in body["open_tasks"])
    assert [(c["channel"], c["status"]) for c in body["consents"]] == [("email", "granted"), ("sms", "withdrawn")]
    assert body["cart"]["state"] == "open"
    assert body["cart"] == good(await sales.get("/api/v1/carts"))["items"][0]
    assert [product["sku"] for product in body["viewed"]] == ["MUG"]


async def test_a_cart_of_before_the_last_order_is_none(
    admin: httpx.AsyncClient, sales: httpx.AsyncClient, store: Store, order_body: Body
) -> None:
    customer_id = await customer(sales)
    store.root["activities"].insert_one(activity_row(_id=customer_id, cart_at=now() - timedelta(minutes=5)))
    placed_at = (now() - timedelta(minutes=1)).isoformat()
    await push(admin, order_body, customer={"id": customer_id}, placed_at=placed_at)
    body = good(await sales.get(url(customer_id)))
    assert (body["cart"], len(body["viewed"])) == (None, 1)


async def test_of_nobody(sales: httpx.AsyncClient) -> None:
    refused(await sales.get(url("cus_0")), 404, "not_found")


@pytest_asyncio.fixture
async def staff(
    store: Store, credentials: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """A salesperson on a process of its own, whose commands are counted; totals are added up for who asks only."""
    COMMANDS.listen()

    async def never(*_: Any) -> None:
        """Nothing in the background."""

    monkeypatch.setattr(projection, "_settle", never)
    monkeypatch.setattr(projection, "_take_over", never)
    database = Database.connect(store.settings, views=contract().views())
    try:
        async with (
            running(create_app(store.settings, database=database)) as app,
            client_of(app, Authorization=f"Bearer {credentials['sales']}") as client,
        ):
            yield client
    finally:
        COMMANDS.counted = None
        await database.close()


async def test_it_costs_four_commands(
    staff: httpx.AsyncClient, admin: httpx.AsyncClient, store: Store, order_body: Body
) -> None:
    customer_id = await customer(admin)
    await push(admin, order_body, customer={"id": customer_id})
    await noted(admin, customer_id, kind="task")
    await totals_settled(store)
    # As they are before somebody has added them up, without a race with who does.
    store.root["customers"].update_one({"_id": customer_id}, {"$set": {"stats.orders_count": 0}})
    assert (await stats(staff, customer_id))["orders_count"] == 0
    counted: Counter[str] = Counter()
    COMMANDS.counted = counted
    body = good(await staff.get(url(customer_id)))
    assert counted == {"aggregate orders": 1, "aggregate interactions": 1, "find activities": 1, "find customers": 1}
    assert (len(body["orders"]), len(body["open_tasks"]), len(body["interactions"])) == (1, 1, 1)
    store.root["stats_due"].insert_one({"_id": "due_1", "customer_ids": [customer_id], "at": now()})
    assert good(await staff.get(url(customer_id)))["customer"]["stats"]["orders_count"] == 1
    store.root["stats_due"].delete_many({})


async def test_totals_show_every_order_that_was_answered_before(
    admin: httpx.AsyncClient, sales: httpx.AsyncClient, store: Store, order_body: Body
) -> None:
    customer_id = await customer(sales)

    async def order(number: int) -> None:
        await push(admin, order_body, f"o-{number}", customer={"id": customer_id})
        body = good(await sales.get(url(customer_id)))
        assert body["customer"]["stats"]["orders_count"] >= number

    for number in range(1, 9):
        await asyncio.gather(order(number), *(sales.get(url(customer_id)) for _ in range(3)))
    await totals_settled(store)
