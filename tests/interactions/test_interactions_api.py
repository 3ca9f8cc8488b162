"""/api/v1/interactions: notes, calls, e-mails, meetings and tasks."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.fixtures.answers import counts, good, refused, walk
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

Body = dict[str, Any]
URL = "/api/v1/interactions"
AT = "2026-01-31T12:00:00Z"


@pytest_asyncio.fixture
async def customer(sales: httpx.AsyncClient) -> str:
    customer_id: str = good(await sales.post("/api/v1/customers", json={"last_name": "Example"}), 201)["id"]
    return customer_id


async def made(client: httpx.AsyncClient, **fields: Any) -> Body:
    out: Body = good(await client.post(URL, json=fields), 201)
    return out


async def me(client: httpx.AsyncClient) -> str:
    user_id: str = good(await client.get("/api/v1/auth/me"))["id"]
    return user_id


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "note", "body": "Likes mugs"},
        {"kind": "call", "subject": "Delivery", "direction": "inbound", "outcome": "solved"},
        {"kind": "email", "subject": "Re: mugs", "body": "Dear Ann", "direction": "outbound"},
        {"kind": "meeting", "subject": "At the fair", "occurred_at": "2027-05-01T10:00:00Z"},
        {"kind": "task", "subject": "Call back", "due_at": "2026-03-01T00:00:00Z", "assignee": "{me}"},
    ],
)
async def test_what_is_noted_is_read_again(fields: Body, customer: str, sales: httpx.AsyncClient) -> None:
    if "assignee" in fields:
        fields = {**fields, "assignee": await me(sales)}
    asked = {"customer_id": customer, "occurred_at": AT, **fields}
    answer = await sales.post(URL, json=asked)
    body = good(answer, 201)
    nothing = dict.fromkeys(("subject", "body", "direction", "outcome", "due_at", "assignee", "status"))
    assert body == {
        **nothing,
        **asked,
        **dict.fromkeys(("done_at", "done_by_id", "done_by_name")),
        "mentions": [],
        "status": "open" if fields["kind"] == "task" else None,
        "id": body["id"],
        "version": 1,
        "author_id": await me(sales),
        "author_name": "sales",
        "created_at": body["created_at"],
        "updated_at": body["created_at"],
    }
    assert answer.headers["location"] == f"{URL}/{body['id']}"
    read = await sales.get(answer.headers["location"])
    assert (good(read), read.headers["etag"]) == (body, '"1"')


async def test_what_is_left_out_is_filled_in(customer: str, sales: httpx.AsyncClient) -> None:
    note = await made(sales, customer_id=customer, kind="note", body="b")
    assert note["occurred_at"] == note["created_at"]
    task = await made(sales, customer_id=customer, kind="task", body="b")
    assert (task["status"], task["assignee"], task["due_at"]) == ("open", await me(sales), task["created_at"])


async def test_a_customer_has_to_exist(sales: httpx.AsyncClient, store: Store) -> None:
    before = counts(store)
    body = {"customer_id": "cus_nobody", "kind": "note", "body": "b"}
    refused(await sales.post(URL, json=body), 422, "invalid_input", "/customer_id")
    assert counts(store) == before


async def test_unknown_ones_are_404(sales: httpx.AsyncClient) -> None:
    for wrong in ("int_0", "%00", "x" * 300):
        refused(await sales.get(f"{URL}/{wrong}"), 404, "not_found")
        refused(await sales.patch(f"{URL}/{wrong}", json={"version": 1, "body": "b"}), 404, "not_found")


@pytest.mark.parametrize(
    ("kind", "patch", "after"),
    [
        ("note", {"body": "new"}, {"body": "new"}),
        ("note", {"subject": None}, {"subject": None}),
        ("note", {"body": None, "outcome": "o"}, {"body": None, "outcome": "o"}),
        ("note", {"occurred_at": "2026-01-01T00:00:00+01:00"}, {"occurred_at": "2025-12-31T23:00:00Z"}),
        ("note", {}, {}),
        ("task", {"due_at": AT}, {"due_at": AT}),
        ("task", {"outcome": "no answer"}, {"outcome": "no answer"}),
    ],
)
async def test_a_merge_patch(kind: str, patch: Body, after: Body, customer: str, sales: httpx.AsyncClient) -> None:
    before = await made(sales, customer_id=customer, kind=kind, subject="s", body="b")
    answer = await sales.patch(f"{URL}/{before['id']}", json=patch, headers={"If-Match": '"1"'})
    changed = good(answer)
    assert changed == {**before, **after, "version": 2, "updated_at": changed["updated_at"]}
    assert answer.headers["etag"] == '"2"'
    assert good(await sales.get(f"{URL}/{before['id']}")) == changed


@pytest.mark.parametrize(
    ("kind", "patch", "pointer"),
    [
        ("note", {"status": "done"}, "/status"),
        ("note", {"due_at": AT}, "/due_at"),
        ("note", {"assignee": "usr_1"}, "/assignee"),
        ("task", {"status": None}, "/status"),
        ("task", {"due_at": None}, "/due_at"),
        ("task", {"assignee": None}, "/assignee"),
        ("note", {"occurred_at": None}, "/occurred_at"),
        ("note", {"subject": None, "body": None}, "/body"),
        ("note", {"direction": "inbound"}, "/direction"),
        ("note", {"author_name": "Eve"}, "/author_name"),
    ],
)
async def test_a_patch_that_makes_no_sense(
    kind: str, patch: Body, pointer: str, customer: str, sales: httpx.AsyncClient
) -> None:
    before = await made(sales, customer_id=customer, kind=kind, subject="s", body="b")
    answer = await sales.patch(f"{URL}/{before['id']}", json={**patch, "version": 1})
    refused(answer, 422, "invalid_input", pointer)
    assert good(await sales.get(f"{URL}/{before['id']}")) == before


async def test_a_change_says_its_version(customer: str, sales: httpx.AsyncClient) -> None:
    note = await made(sales, customer_id=customer, kind="note", body="b")
    path = f"{URL}/{note['id']}"
    refused(await sales.patch(path, json={"body": "x"}), 428, "version_required")
    refused(await sales.patch(path, json={"body": "x", "version": 2}), 412, "stale_version")
    refused(await sales.patch(path, json={"body": "x"}, headers={"If-Match": "*"}), 400, "unreadable_request")
    racing = await asyncio.gather(*[sales.patch(path, json={"body": str(n), "version": 1}) for n in range(8)])
    assert sorted(a.status_code for a in racing) == [200] + [412] * 7
    assert good(await sales.get(path))["version"] == 2


async def test_lists(customer: str, sales: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    other = good(await sales.post("/api/v1/customers", json={"last_name": "Other"}), 201)["id"]
    talks = [
        await made(sales, customer_id=customer, kind="note", body="b", occurred_at=f"2026-01-0{1 + n % 2}T00:00:00Z")
        for n in range(5)
    ]
    await made(sales, customer_id=other, kind="note", body="b")
    expected = [t["id"] for t in sorted(talks, key=lambda t: (t["occurred_at"], t["id"]), reverse=True)]
    for limit in (1, 2, 5, 200):
        assert await walk(sales, URL, customer_id=customer, limit=limit) == expected
        assert await walk(sales, URL, customer_id=customer, limit=limit, sort="occurred_at") == expected[::-1]

    tasks = [
        await made(sales, customer_id=other, kind="task", body="b", due_at=f"2026-02-0{5 - n}T00:00:00Z")
        for n in range(3)
    ]
    await made(admin, customer_id=other, kind="task", body="b")
    done = await made(sales, customer_id=other, kind="task", body="b", status="done")
    urgent_first = [task["id"] for task in reversed(tasks)]
    for assignee in ("me", await me(sales)):
        assert await walk(sales, URL, assignee=assignee, status="open", limit=2) == urgent_first
        assert await walk(sales, URL, assignee=assignee, status="open", sort="-due_at") == urgent_first[::-1]
        assert await walk(sales, URL, assignee=assignee, status="done") == [done["id"]]
    for query in (
        "", "assignee=me", "assignee=me&status=late", "kind=note", f"customer_id={customer}&assignee=me",
        f"customer_id={customer}&assignee=me&status=open", f"customer_id={customer}&sort=due_at",
        f"customer_id={customer}&sort=created_at", "due_before=2026-01-01T00:00:00Z", "status=open&due_before=today",
        "status=open&due_before=2026-01-01T00:00:00", f"customer_id={customer}&due_after=2026-01-01T00:00:00Z",
        "mentions=order", "mentions=order:", "mentions=person:1", "mentions=order:ord_1&status=open",
    ):  # fmt: skip
        refused(await sales.get(f"{URL}?{query}"), 400, "unreadable_request")
    assert good(await sales.get(URL, params={"customer_id": "cus_nobody"}))["items"] == []
