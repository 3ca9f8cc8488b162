"""/api/v1/customers/{id}/timeline: orders, browsing events and interactions, merged by time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar
from pymongo import monitoring

from crm.app import create_app
from crm.contracts import contract
from crm.database.client import Client
from crm.database.driver import Database
from crm.identity import API_ROLES, Role
from tests.fixtures.answers import good, pages, refused, walk
from tests.fixtures.api import client_of, running
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

Body = dict[str, Any]
KINDS = ("order", "interaction", "event")  # in this order when they happen at the same time
BACKGROUND = {
    "activity_watermarks", "audit_log", "erasures", "forgotten", "inbox", "merges", "privacy_requests", "stats_due",
}  # fmt: skip
SAME = "2026-01-31T12:00:00.123Z"


class History:
    """Lets things happen with one customer."""

    def __init__(self, admin: httpx.AsyncClient, order: Body, customer_id: str) -> None:
        self.admin = admin
        self.order = {**order, "customer": {"id": customer_id}}
        self.customer_id = customer_id
        self.url = f"/api/v1/customers/{customer_id}/timeline"
        self.ids: list[str] = []

    async def happens(self, kind: str, at: str) -> str:
        """One thing of a kind; its id."""
        number = str(len(self.ids))
        if kind == "order":
            body = {**self.order, "placed_at": at, "number": number}
            found = good(await self.admin.put(f"/api/v1/orders/shop/{number}", json=body), 201)["id"]
        elif kind == "interaction":
            body = {"customer_id": self.customer_id, "kind": "note", "body": "b", "occurred_at": at}
            found = good(await self.admin.post("/api/v1/interactions", json=body), 201)["id"]
        else:
            body = {"source": "web", "message_id": number, "type": "page", "occurred_at": at}
            body["customer"] = {"id": self.customer_id}
            good(await self.admin.post("/api/v1/events", json={"events": [body]}))
            listed = good(await self.admin.get("/api/v1/events", params={"customer_id": self.customer_id}))["items"]
            found = next(e["id"] for e in listed if e["message_id"] == number)
        self.ids.append(found)
        return str(found)


@pytest_asyncio.fixture
async def history(admin: httpx.AsyncClient, order_body: Body) -> History:
    made = good(await admin.post("/api/v1/customers", json={"last_name": "Example"}), 201)
    return History(admin, order_body, made["id"])


async def test_all_that_happened_the_latest_first(history: History, sales: httpx.AsyncClient) -> None:
    days = {day: await history.happens(KINDS[day % 3], f"2026-01-{day:02}T00:00:00Z") for day in (3, 1, 8, 5, 2, 7)}
    entries = good(await sales.get(history.url))["items"]
    assert [entry["id"] for entry in entries] == [days[day] for day in (8, 7, 5, 3, 2, 1)]
    assert [entry["kind"] for entry in entries] == [KINDS[day % 3] for day in (8, 7, 5, 3, 2, 1)]
    assert [entry["at"][:10] for entry in entries] == [f"2026-01-{day:02}" for day in (8, 7, 5, 3, 2, 1)]
    resources = {"order": "/api/v1/orders/", "interaction": "/api/v1/interactions/"}
    for entry in entries:
        assert entry["summary"]
        if entry["kind"] in resources:
            assert entry["detail"] == good(await sales.get(resources[entry["kind"]] + entry["id"]))
        else:
            listed = await sales.get("/api/v1/events", params={"customer_id": history.customer_id})
            assert entry["detail"] in good(listed)["items"]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 200])
async def test_what_happened_in_one_millisecond_is_walked_once_each(
    limit: int, history: History, sales: httpx.AsyncClient
) -> None:
    before = await history.happens("event", "2026-01-31T12:00:00.122Z")
    for kind in ("event", "order", "interaction") * 4:
        await history.happens(kind, SAME)
    after = await history.happens("order", "2026-01-31T12:00:00.124Z")
    found = await pages(sales, history.url, limit=limit)
    entries = [entry for page in found for entry in page]
    assert len(entries) == len(history.ids)
    assert {entry["id"] for entry in entries} == set(history.ids)
    assert (entries[0]["id"], entries[-1]["id"]) == (after, before)
    assert [e["kind"] for e in entries[1:-1]] == [kind for kind in KINDS for _ in range(4)]
    assert all(len(page) == limit for page in found[:-1])


async def test_an_edit_is_told_once_whether_or_not_there_was_a_later_one(
    history: History, sales: httpx.AsyncClient
) -> None:
    path = history.url.removesuffix("/timeline")
    for number in range(3):
        version = good(await sales.get(path))["version"]
        good(await sales.patch(path, json={"first_name": f"Ann {number}", "version": version}))
        for limit in (1, 2, 10):
            found = await pages(sales, history.url, kind="change", limit=limit)
            entries = [entry for page in found for entry in page]
            assert [e["detail"]["changes"][0]["after"] for e in entries] == [f"Ann {n}" for n in range(number, -1, -1)]
            assert entries[0]["summary"] == "sales changed first_name"


@pytest.mark.parametrize("kind", KINDS)
async def test_only_one_kind(kind: str, history: History, sales: httpx.AsyncClient) -> None:
    ids = {k: [await history.happens(k, SAME) for _ in range(3)] for k in KINDS}
    for limit in (1, 2, 3):
        assert sorted(await walk(sales, history.url, kind=kind, limit=limit)) == sorted(ids[kind])


async def test_another_customers_things_are_not_in_it(
    history: History, admin: httpx.AsyncClient, order_body: Body
) -> None:
    mine = [await history.happens(kind, SAME) for kind in KINDS]
    other = good(await admin.post("/api/v1/customers", json={"last_name": "Other"}), 201)["id"]
    others = History(admin, order_body, other)
    others.ids = list(mine)  # so that its numbers are new
    theirs = [await others.happens(kind, SAME) for kind in KINDS]
    assert sorted(await walk(admin, history.url)) == sorted(mine)
    assert sorted(await walk(admin, others.url)) == sorted(theirs)


@pytest.mark.parametrize("limit", [1, 2, 3, 200])
async def test_each_refund_stands_at_its_own_time(limit: int, history: History, sales: httpx.AsyncClient) -> None:
    """Also where refunds of one order enclose those of another, or things of other kinds."""
    days: dict[int, str] = {}
    orders = [await history.happens("order", f"2026-01-0{day}T00:00:00Z") for day in (1, 2)]
    days |= {1: orders[0], 2: orders[1]}
    for day in (3, 9, 5):
        days[day] = await give_back(history.admin, orders[0], day)
    for day in (4, 6):
        days[day] = await give_back(history.admin, orders[1], day)
    days[7] = await history.happens("event", "2026-01-07T00:00:00Z")
    days[8] = await history.happens("interaction", "2026-01-08T00:00:00Z")
    assert await walk(sales, history.url, limit=limit) == [days[day] for day in sorted(days, reverse=True)]
    refunds = await walk(sales, history.url, kind="refund", limit=limit)
    assert refunds == [days[day] for day in (9, 6, 5, 4, 3)]


async def test_a_refund_says_of_which_order(history: History, sales: httpx.AsyncClient) -> None:
    order_id = await history.happens("order", "2026-01-01T00:00:00Z")
    refund_id = await give_back(history.admin, order_id, 2)
    (entry,) = good(await sales.get(history.url, params={"kind": "refund"}))["items"]
    order = good(await sales.get(f"/api/v1/orders/{order_id}"))
    assert (entry["id"], entry["at"]) == (refund_id, "2026-01-02T00:00:00Z")
    assert entry["summary"] == "0.50 GBP given back of order 0"
    assert entry["detail"]["refund"] == order["refunds"][0]
    assert entry["detail"]["order_id"] == order_id
    assert entry["detail"]["currency"] == order["currency"]


async def test_a_browser_stands_there_since_it_is_linked(
    history: History, admin: httpx.AsyncClient, sales: httpx.AsyncClient
) -> None:
    """What it did before stands there, too: nobody knew then whose it was."""
    browsed: Body = {"source": "web", "message_id": "m-1", "type": "page", "anonymous_id": "a-1"}
    named = {**browsed, "message_id": "m-2", "customer": {"id": history.customer_id}}
    at = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    for event, moment in zip((browsed, named), at, strict=True):
        good(await admin.post("/api/v1/events", json={"events": [{**event, "occurred_at": moment}]}))
    entries = good(await sales.get(history.url))["items"]
    assert [(entry["kind"], entry["at"]) for entry in entries] == [
        ("event", at[1]),
        ("identity", at[1]),
        ("event", at[0]),
    ]
    (linked,) = good(await sales.get(history.url, params={"kind": "identity"}))["items"]
    assert linked["summary"] == "Browser linked: a-1"
    assert linked["detail"] == {"id": linked["id"], "kind": "visitor", "source": "web", "value": "a-1"}
    assert await walk(sales, history.url, limit=1) == [entry["id"] for entry in entries]


async def give_back(admin: httpx.AsyncClient, order_id: str, day: int) -> str:
    """Give half a pound back; the entry's id."""
    refund = {"id": f"re/{day}", "amount": "0.50", "at": f"2026-01-0{day}T00:00:00Z"}
    good(await admin.post(f"/api/v1/orders/{order_id}/refunds", json=refund), 201)
    return f"{order_id}:re/{day}"


async def test_nothing_happened_yet(history: History, sales: httpx.AsyncClient) -> None:
    assert good(await sales.get(history.url)) == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    "query", ["kind=leak", "sort=at", "sort=-placed_at", "limit=0", "cursor=x", "kinds=order", "kind=order&kind=event"]
)
async def test_what_it_does_not_know_is_400(query: str, history: History, sales: httpx.AsyncClient) -> None:
    body = refused(await sales.get(f"{history.url}?{query}"), 400, "unreadable_request")
    assert "leak" not in json.dumps(body)


async def test_a_cursor_of_another_list_is_refused(history: History, sales: httpx.AsyncClient) -> None:
    for _ in range(2):
        await history.happens("order", SAME)
    foreign = good(await sales.get("/api/v1/orders", params={"limit": 1}))["next_cursor"]
    refused(await sales.get(history.url, params={"cursor": foreign}), 400, "unreadable_request", "cursor")


class Commands(monitoring.CommandListener):
    """Notes the commands that clients send, but for signing in and what runs in the background every second."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        erased = "erased_at" in str(event.command.get("filter"))  # who was, for all that is tracked
        in_the_background = erased or str(event.command.get(event.command_name)) in BACKGROUND
        if not event.command_name.startswith("sasl") and not in_the_background:
            self.sent.append(f"{event.command_name} {event.command.get(event.command_name)}")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Not of interest."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Not of interest."""


@pytest_asyncio.fixture
async def watched(store: Store) -> AsyncIterator[tuple[Litestar, Commands]]:
    """An app of its own, whose clients' commands are noted."""
    commands = Commands()
    clients: dict[Role, Any] = {
        role: Client(store.uri(role), directConnection=True, tz_aware=True, event_listeners=[commands])
        for role in API_ROLES
    }
    database = Database(clients, store.settings.mongodb_database, views=contract().views())
    async with running(create_app(store.settings, database=database)) as app:
        yield app, commands
    await database.close()


async def test_a_page_costs_the_same_commands_whatever_is_on_it(
    history: History, watched: tuple[Litestar, Commands], credentials: dict[str, str]
) -> None:
    app, commands = watched
    async with client_of(app, Authorization=f"Bearer {credentials['sales']}") as client:
        costs = []
        for size in range(3):
            for _ in range(3 * size):
                for kind in KINDS:
                    await history.happens(kind, SAME)
            for limit in (1, 5, 200):
                commands.sent.clear()
                assert len(good(await client.get(history.url, params={"limit": limit}))["items"]) <= limit
                costs.append(sorted(set(commands.sent) - {"find users"}))  # who asks is looked up once a second
                assert len(commands.sent) <= 13
    assert costs[0] == ["find customers", "find events", "find identities", "find interactions", "find orders"]
    assert all(cost == costs[0] for cost in costs)


async def test_whose_names_are_read_once_for_all_kinds(
    history: History, watched: tuple[Litestar, Commands], credentials: dict[str, str]
) -> None:
    app, commands = watched
    for kind in KINDS:
        await history.happens(kind, SAME)
    reads = {}
    async with client_of(app, Authorization=f"Bearer {credentials['sales']}") as client:
        for query in ("", "?kind=event", "?kind=identity", "?kind=order"):
            commands.sent.clear()
            good(await client.get(history.url + query))
            reads[query] = commands.sent.count("find identities")
    assert reads == {"": 1, "?kind=event": 1, "?kind=identity": 1, "?kind=order": 0}
