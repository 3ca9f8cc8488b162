"""Two records of one person, with something of everything, and what is stored of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from crm.clock import now
from crm.merges import moving
from tests.fixtures.answers import good
from tests.fixtures.shop import push
from tests.fixtures.store import Store

Body = dict[str, Any]
CUSTOMERS = "/api/v1/customers"
MERGES = "/api/v1/merges"
#: What a merge moves, by the field that names the customer.
MOVED = ("orders", "order_versions", "interactions")
#: Counts up with every change, there and back.
_BOOKKEEPING = {"version", "updated_at", "last_change"}


async def customer(client: httpx.AsyncClient, **fields: Any) -> Body:
    out: Body = good(await client.post(CUSTOMERS, json=fields), 201)
    return out


async def read(client: httpx.AsyncClient, customer_id: str) -> Body:
    out: Body = good(await client.get(f"{CUSTOMERS}/{customer_id}"))
    return out


async def merge(client: httpx.AsyncClient, this: Body, other: Body, **choices: str) -> Body:
    """Merge two customers as they were answered."""
    versions = {"this": this["version"], "other": other["version"]}
    body = {"other": other["id"], "versions": versions, "choices": choices}
    out: Body = good(await client.post(f"{CUSTOMERS}/{this['id']}/merge", json=body))
    return out


async def merge_now(client: httpx.AsyncClient, this: str, other: str) -> httpx.Response:
    """Merge two customers as they are at this moment."""
    versions = {"this": (await read(client, this))["version"], "other": (await read(client, other))["version"]}
    return await client.post(f"{CUSTOMERS}/{this}/merge", json={"other": other, "versions": versions})


async def until_merged(client: httpx.AsyncClient, this: str, other: str) -> httpx.Response:
    """Merge, looking again whenever a push has changed one of them."""
    while True:
        answer = await merge_now(client, this, other)
        if answer.status_code not in {409, 412}:
            return answer


async def undo(client: httpx.AsyncClient, merge_id: str) -> Body:
    out: Body = good(await client.post(f"{MERGES}/{merge_id}/undo"))
    return out


def let_settle(store: Store) -> None:
    """Pretend that so much time has passed that no write from before can arrive any more."""
    past = now() - timedelta(seconds=1)
    store.root["merges"].update_many(
        {"due_at": {"$exists": True}}, {"$set": {"settles_at": past, "due_at": past}, "$unset": {"claimed_until": ""}}
    )
    # What a process that died had marked is taken over.
    store.root["stats_due"].update_many({}, {"$set": {"at": past - timedelta(minutes=10)}})


async def settle(store: Store) -> None:
    """Carry all merges to their end, or wait for the service that does; the caller acts as an administrator."""
    let_settle(store)
    await until(store, {"due_at": {"$exists": True}})


async def until(store: Store, left: Body) -> None:
    """Carry on until no merge is like this."""
    async with asyncio.timeout(20):
        while True:
            await moving.sweep()
            if store.root["merges"].find_one(left, hint="due") is None:
                return
            await asyncio.sleep(0.05)


def die(store: Store) -> None:
    """Pretend that whoever was at a merge has died some time ago."""
    store.root["merges"].update_one({}, {"$set": {"claimed_until": now() - timedelta(seconds=1)}})


@dataclass
class Two:
    """Two customers who are one person.

    Attributes:
        ann: Has an order with an earlier version, a note and events.
        bob: The same, and a task.
    """

    ann: Body
    bob: Body


async def two(admin: httpx.AsyncClient, order: Body) -> Two:
    """Store both, with something of everything."""
    people = []
    for number, name in enumerate(("ann", "bob"), start=1):
        ref = {"external_id": f"c-{number}", "email": f"{name}@example.com", "first_name": name.title()}
        body = {**order, "customer": ref, "number": f"10{number}"}
        pushed = await push(admin, body, f"o-{number}", status="pending", source_updated_at="2026-01-31T12:00:00Z")
        await push(admin, body, f"o-{number}")
        customer_id = pushed["customer_id"]
        await admin.post("/api/v1/interactions", json={"customer_id": customer_id, "kind": "note", "body": name})
        event: Body = {
            "source": "web",
            "message_id": f"e-{number}",
            "type": "page",
            "occurred_at": "2026-01-31T12:00:00Z",
        }
        event |= {"anonymous_id": f"browser-{number}", "customer": {"id": customer_id}}
        good(await admin.post("/api/v1/events", json={"events": [event]}))
        consent = {"channel": "email", "status": "granted", "at": f"2026-01-0{number}T12:00:00Z", "source": name}
        good(await admin.post(f"{CUSTOMERS}/{customer_id}/consents", json=consent), 201)
        people.append(customer_id)
    task = {"customer_id": people[1], "kind": "task", "subject": "Ring back"}
    good(await admin.post("/api/v1/interactions", json=task), 201)
    return Two(await read(admin, people[0]), await read(admin, people[1]))


async def activity_told(store: Store, *customer_ids: str) -> None:
    """Wait until the activity of these customers is stored: it follows the events within a second."""
    theirs = {"_id": {"$in": list(customer_ids)}}
    async with asyncio.timeout(10):
        while True:
            if store.root["activities"].count_documents(theirs) == len(customer_ids):
                return
            await asyncio.sleep(0.02)


def snapshot(store: Store) -> dict[str, dict[str, Body]]:
    """All that is stored of customers and of what belongs to them, but for what counts up with every change."""
    found: dict[str, dict[str, Body]] = {}
    for name in ("customers", *MOVED, "activities", "events"):
        rows = store.root[name].find({})
        found[name] = {row["_id"]: {k: v for k, v in row.items() if k not in _BOOKKEEPING} for row in rows}
    for row in found["customers"].values():
        del row["stats"]["revision"]
    for row in found["activities"].values():
        del row["revision"]
    return found


def owners(store: Store) -> dict[str, set[str]]:
    """Who owns what, by collection."""
    return {name: {row["customer_id"] for row in store.root[name].find({})} for name in MOVED}
