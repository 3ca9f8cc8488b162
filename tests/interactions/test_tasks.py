"""Tasks: whose they are, when they were done and by whom, and the lists that staff work through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from crm.auth import service as auth
from crm.auth.schemas import UserCreate
from crm.database.driver import Database, acting_as
from crm.identity import SYSTEM, Role
from tests.fixtures.answers import good, refused, walk
from tests.fixtures.api import PASSWORD
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

Body = dict[str, Any]
URL = "/api/v1/interactions"
NO_COLLEAGUE = "usr_nobody"


@pytest_asyncio.fixture
async def customer(sales: httpx.AsyncClient) -> str:
    customer_id: str = good(await sales.post("/api/v1/customers", json={"last_name": "Example"}), 201)["id"]
    return customer_id


@pytest_asyncio.fixture
async def users(app: Any, database: Database, store: Store, credentials: Any) -> AsyncIterator[dict[str, str]]:
    """A salesperson who has left, and the analyst: neither can be given a task."""
    new = {"email": "left@example.com", "name": "Left", "role": "sales", "password": PASSWORD}
    with acting_as(database, Role.ADMIN):
        left = await auth.add_user(SYSTEM, UserCreate.model_validate(new))
        await auth.disable_user(SYSTEM, "left@example.com")
    analyst = store.root["users"].find_one({"email_key": "analyst@example.com"})
    assert analyst
    yield {"left": left, "analyst": analyst["_id"], "nobody": NO_COLLEAGUE}
    store.root["users"].delete_one({"_id": left})


async def task(client: httpx.AsyncClient, customer_id: str, **fields: Any) -> Body:
    made: Body = good(
        await client.post(URL, json={"customer_id": customer_id, "kind": "task", "subject": "Call back", **fields}), 201
    )
    return made


async def patched(client: httpx.AsyncClient, before: Body, **fields: Any) -> Body:
    answer = await client.patch(f"{URL}/{before['id']}", json={**fields, "version": before["version"]})
    changed: Body = good(answer)
    return changed


async def who(client: httpx.AsyncClient) -> Body:
    me: Body = good(await client.get("/api/v1/auth/me"))
    return me


async def test_a_task_goes_from_one_colleague_to_another(
    customer: str, sales: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    boss = (await who(admin))["id"]
    made = await task(sales, customer)
    moved = await patched(sales, made, assignee=boss)
    assert (moved["assignee"], moved["version"]) == (boss, 2)
    assert await walk(sales, URL, assignee="me", status="open") == []
    assert await walk(admin, URL, assignee="me", status="open") == [made["id"]]


async def test_who_can_be_given_tasks_is_listed(
    users: dict[str, str], sales: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    found = good(await sales.get("/api/v1/auth/colleagues"))["items"]
    for client in (sales, admin):
        me = await who(client)
        assert {"id": me["id"], "name": me["name"], "role": me["role"]} in found
    assert not {colleague["id"] for colleague in found} & set(users.values())
    ids = [colleague["id"] for colleague in found]
    assert await walk(sales, "/api/v1/auth/colleagues", limit=1) == ids == sorted(ids)
    assert await walk(sales, "/api/v1/auth/colleagues", limit=1, sort="-id") == ids[::-1]
    assert good(await sales.get("/api/v1/auth/colleagues?count=true"))["count"] == len(ids)


@pytest.mark.parametrize("user", ["left", "analyst", "nobody"])
async def test_a_task_needs_somebody_who_can_do_it(
    user: str, users: dict[str, str], customer: str, sales: httpx.AsyncClient, store: Store
) -> None:
    body = {"customer_id": customer, "kind": "task", "subject": "s", "assignee": users[user]}
    refused(await sales.post(URL, json=body), 422, "invalid_input", "/assignee")
    assert store.root["interactions"].count_documents({}) == 0
    made = await task(sales, customer)
    patch = {"assignee": users[user], "version": 1}
    refused(await sales.patch(f"{URL}/{made['id']}", json=patch), 422, "invalid_input", "/assignee")
    assert good(await sales.get(f"{URL}/{made['id']}")) == made


async def test_who_has_left_keeps_a_task_until_somebody_takes_it(
    users: dict[str, str], customer: str, sales: httpx.AsyncClient, store: Store
) -> None:
    made = await task(sales, customer)
    store.root["interactions"].update_one({"_id": made["id"]}, {"$set": {"assignee": users["left"]}})
    still = await patched(sales, made, assignee=users["left"], outcome="no answer")
    assert still["assignee"] == users["left"]
    me = (await who(sales))["id"]
    assert (await patched(sales, still, assignee=me))["assignee"] == me


async def test_a_task_that_is_done_says_since_when_and_by_whom(
    customer: str, sales: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    made = await task(sales, customer)
    boss = await who(admin)
    done = await patched(admin, made, status="done", outcome="reached her")
    assert (done["done_at"], done["done_by_id"], done["done_by_name"]) == (done["updated_at"], boss["id"], boss["name"])
    again = await patched(sales, done, status="done", subject="Called back")
    assert {name: again[name] for name in ("done_at", "done_by_id")} == {
        name: done[name] for name in ("done_at", "done_by_id")
    }
    reopened = await patched(sales, again, status="open")
    assert (reopened["done_at"], reopened["done_by_id"], reopened["done_by_name"]) == (None, None, None)
    at_once = await task(sales, customer, status="done")
    assert (at_once["done_at"], at_once["done_by_id"]) == (at_once["created_at"], (await who(sales))["id"])


async def test_the_lists_that_staff_work_through(
    customer: str, sales: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    other = good(await sales.post("/api/v1/customers", json={"last_name": "Other"}), 201)["id"]
    due = [f"2026-02-0{day}T00:00:00Z" for day in (1, 2, 3, 4)]
    mine = [await task(sales, c, due_at=at) for c, at in zip((customer, other) * 2, due, strict=True)]
    bosses = await task(admin, customer, due_at="2026-02-02T12:00:00Z")
    await task(sales, customer, due_at=due[0], status="done")
    ids = [t["id"] for t in mine]
    everybodys = [ids[0], ids[1], bosses["id"], ids[2], ids[3]]
    for limit in (1, 2, 50):
        assert await walk(sales, URL, status="open", limit=limit) == everybodys
        assert await walk(sales, URL, status="open", sort="-due_at", limit=limit) == everybodys[::-1]
        assert await walk(sales, URL, status="open", due_before=due[2], limit=limit) == everybodys[:3]
        assert await walk(sales, URL, status="open", due_after=due[2], limit=limit) == ids[2:]
        assert await walk(sales, URL, status="open", assignee="me", due_before=due[1], limit=limit) == ids[:1]
        assert await walk(sales, URL, status="open", customer_id=other, limit=limit) == [ids[1], ids[3]]
        within = {"due_after": due[1], "due_before": due[3]}
        assert await walk(sales, URL, status="open", customer_id=other, **within, limit=limit) == [ids[1]]


async def test_the_timeline_shows_a_task_when_it_was_noted_and_when_it_was_done(
    customer: str, sales: httpx.AsyncClient
) -> None:
    url = f"/api/v1/customers/{customer}/timeline"
    made = await task(sales, customer, occurred_at="2026-01-01T00:00:00Z")
    note = await sales.post(URL, json={"customer_id": customer, "kind": "note", "body": "b"})
    assert [e["kind"] for e in good(await sales.get(url))["items"]] == ["interaction", "interaction"]
    done = await patched(sales, made, status="done", outcome="reached her")
    entries = good(await sales.get(url))["items"]
    assert [(e["kind"], e["id"]) for e in entries] == [
        ("task_done", made["id"]), ("interaction", good(note, 201)["id"]), ("interaction", made["id"]),
    ]  # fmt: skip
    assert entries[0]["summary"] == "Task done by sales: Call back: reached her"
    assert (entries[0]["at"], entries[0]["detail"]) == (done["done_at"], done)
    assert await walk(sales, url, kind="task_done", limit=1) == [made["id"]]
    await patched(sales, done, status="open")
    assert await walk(sales, url, kind="task_done") == []
