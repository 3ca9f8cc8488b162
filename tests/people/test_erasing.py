"""POST /customers/{id}/erase: no byte of the person is left, the books add up, and nothing brings them back."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from crm.clock import now
from crm.contracts import contract
from crm.database.driver import Database, acting_as
from crm.errors import Unavailable
from crm.identity import Role
from crm.people import erasing
from crm.people.parts import IMPERSONAL, PARTS, Part
from crm.person import Person
from tests.fixtures.answers import good, refused
from tests.fixtures.store import KEPT, Store, totals_settled
from tests.people.living import (
    EARLIER_EMAIL,
    EMAIL,
    OTHER_EMAIL,
    PHONE,
    TRACES,
    Life,
    every_byte,
    order_of,
    shopify_order_of,
    traces,
)

pytestmark = pytest.mark.mongo
Body = dict[str, Any]


def ndjson(line: Body) -> dict[str, Any]:
    return {"content": json.dumps(line).encode() + b"\n", "headers": {"Content-Type": "application/x-ndjson"}}


async def test_no_byte_of_the_person_is_left(zoe: Life, store: Store) -> None:
    await zoe.everything()
    before = every_byte(store)
    told_in = {name for name, data in before.items() if any(trace.lower().encode() in data for trace in TRACES)}
    expected = {name for part in PARTS for name in part.collections} - {"audit_log", "duplicate_pairs"}
    assert told_in == expected, "she leaves traces everywhere"
    ids = (zoe.customer_id, zoe.merged_id)
    assert {*traces(store, ids)} >= {f"{name}: {one}" for one in ids for name in ("duplicate_pairs", "merges")}
    await zoe.erase()
    await totals_settled(store)
    assert traces(store) == []
    # Our own id of her stays where it says that somebody was erased, and who had looked.
    here = {f"erasures: {zoe.customer_id}", f"audit_log: {zoe.customer_id}", f"audit_log: {zoe.merged_id}"}
    assert {*traces(store, ids)} == here


async def test_the_books_keep_what_they_need(zoe: Life, store: Store, admin: httpx.AsyncClient) -> None:
    await zoe.everything()
    (before,) = store.root["orders"].find({"source": "shop"})
    await zoe.erase()
    after = good(await admin.get("/api/v1/orders/shop/Z-1"))
    assert (after["total"], after["refunded"], after["currency"], after["number"]) == ("4.50", "1.00", "GBP", "Z-1")
    assert [item["title"] for item in after["items"]] == ["Mug", "For (removed)"]
    assert (after["status"], after["source_status"]) == ("partially_refunded", "fulfilled")
    assert after["customer_id"] is None
    assert after["note"] is None
    for name in ("shipping_address", "billing_address"):
        assert {key: value for key, value in after[name].items() if value} == {"country": "GB"}
    assert after["refunds"][0]["reason"] is None
    assert after["placed_at"] == "2026-01-31T12:00:00Z"
    (row,) = store.root["orders"].find({"source": "shop"})
    assert row["content_hash"] == before["content_hash"]


async def test_others_keep_what_is_theirs(zoe: Life, store: Store, admin: httpx.AsyncClient) -> None:
    """Also who lives with her, and has the same telephone."""
    bob = {"email": "bob@example.com", "phone": PHONE, "first_name": "Bob"}
    body = order_of("B-1", customer=bob, note="Bob's", shipping_address={"name": "Bob", "country": "GB"})
    theirs = good(await admin.put("/api/v1/orders/shop/B-1", json=body), 201)
    await zoe.everything()
    await zoe.deliver("orders/create", {**shopify_order_of(), "id": 9, "customer": {"id": 8, **bob}, **bob}, "b-1")
    before = good(await admin.get("/api/v1/orders/shop/B-1"))
    await zoe.erase()
    assert good(await admin.get("/api/v1/orders/shop/B-1")) == before
    assert good(await admin.get(f"/api/v1/customers/{theirs['customer_id']}"))["phone"] == PHONE
    bodies = [row["body"] for row in store.root["inbox"].find({})]
    assert any(b"bob@example.com" in body for body in bodies)


async def test_an_address_that_is_somebody_elses_by_now_stays_theirs(
    zoe: Life, store: Store, admin: httpx.AsyncClient
) -> None:
    """It was typed into the wrong record, and corrected."""
    await zoe.everything()
    bob = good(await admin.post("/api/v1/customers", json={"email": EARLIER_EMAIL, "first_name": "Bob"}), 201)
    await zoe.erase()
    assert good(await admin.get(f"/api/v1/customers/{bob['id']}")) == bob
    assert any(b"maiden.zoe" in row["body"] for row in store.root["inbox"].find({})), "the order may be Bob's"
    put = await admin.put("/api/v1/orders/shop/B-1", json=order_of("B-1", customer={"email": EARLIER_EMAIL}))
    assert good(put, 201)["customer_id"] == bob["id"]


async def test_what_it_says_of_itself(zoe: Life, admin: httpx.AsyncClient, store: Store) -> None:
    await zoe.orders()
    erased = await zoe.erase("Ticket 4711")
    assert (erased["state"], erased["reason"], erased["customer_id"]) == ("done", "Ticket 4711", zoe.customer_id)
    assert erased["done_at"] >= erased["requested_at"]
    assert good(await admin.get(f"/api/v1/erasures/{erased['id']}")) == erased
    assert good(await admin.get("/api/v1/erasures"))["items"] == [erased]
    for method, path in (("POST", "/erase"), ("DELETE", ""), ("POST", "/export"), ("GET", "")):
        body = {"reason": "again"} if method == "POST" else None
        answer = await admin.request(method, f"/api/v1/customers/{zoe.customer_id}{path}", json=body)
        refused(answer, 404, "not_found")
    refused(await admin.get("/api/v1/erasures/era_1"), 404, "not_found")
    (row,) = store.root["erasures"].find({})
    assert row.keys() == {"_id", "customer_id", "reason", "requested_by", "requested_at", "state", "done_at"}


@pytest.mark.parametrize(
    "reason", ["Zoë asked", "mail of " + EMAIL.lower(), "quill, ticket 1", f"{PHONE} called", "07700 900123 called"]
)
async def test_the_reason_must_not_name_them(reason: str, zoe: Life, admin: httpx.AsyncClient, store: Store) -> None:
    await zoe.orders()
    url = f"/api/v1/customers/{zoe.customer_id}/erase"
    body = refused(await admin.post(url, json={"reason": reason}), 422, "invalid_input", "/reason")
    assert reason not in str(body)
    refused(await admin.post(url, json={}), 422, "invalid_input", "/reason")
    assert store.root["erasures"].find_one({}) is None
    assert store.root["customers"].find_one({"_id": zoe.customer_id})


async def test_deleting_is_the_same(zoe: Life, admin: httpx.AsyncClient, store: Store) -> None:
    await zoe.everything()
    assert (await admin.delete(f"/api/v1/customers/{zoe.customer_id}")).status_code == 204
    assert traces(store) == []
    (erased,) = good(await admin.get("/api/v1/erasures"))["items"]
    assert erased["reason"] == "An admin deleted the customer."
    actions = [row["action"] for row in store.root["audit_log"].find({"targets": zoe.customer_id}, sort=[("_id", 1)])]
    assert actions[-1] == "customer.delete"


async def test_whatever_is_older_does_not_bring_them_back(zoe: Life, admin: httpx.AsyncClient, store: Store) -> None:
    await zoe.everything()
    await zoe.erase()
    # The same orders again, changed and new, and by all ways in.
    again = good(await admin.put("/api/v1/orders/shop/Z-1", json=order_of(status="delivered")))
    unknown = good(await admin.put("/api/v1/orders/shop/Z-9", json=order_of("Z-9")), 201)
    nameless = order_of("Z-1", customer=None, status="fulfilled")
    good(await admin.put("/api/v1/orders/shop/Z-1", json=nameless))
    by_id = good(
        await admin.put("/api/v1/orders/shop/Z-8", json=order_of("Z-8", customer={"id": zoe.customer_id})), 201
    )
    for order in (again, unknown, by_id):
        assert order["customer_id"] is None
        assert [item["title"] for item in order["items"]] == ["Mug", "For (removed)"]
        assert {key for key, value in order["shipping_address"].items() if value} == {"country"}
    refund = {"id": "r", "amount": "0.50", "reason": "parchment allergy", "at": "2026-02-01T12:00:00Z"}
    good(await admin.post(f"/api/v1/orders/{again['id']}/refunds", json=refund), 201)
    await zoe.browsing_again()
    await zoe.webhooks_again()
    await totals_settled(store)
    assert traces(store) == []


async def test_an_import_does_not_bring_them_back(
    zoe: Life, admin: httpx.AsyncClient, ingest: httpx.AsyncClient, store: Store
) -> None:
    await zoe.everything()
    await zoe.erase()
    for person in ({"email": EMAIL.upper()}, {"external_ids": [{"source": "shop", "id": "zoe-external"}]}):
        refused(await ingest.post("/api/v1/customers", json={"first_name": "Zoë", **person}), 409, "erased")
        line = json.loads((await admin.post("/api/v1/customers/bulk", **ndjson(person))).text.split("\n")[0])
        assert (line["result"], line["code"]) == ("refused", "erased")
    order = {**order_of("Z-7"), "source": "old", "external_id": "Z-7"}
    assert '"result":"created"' in (await admin.post("/api/v1/orders/bulk", **ndjson(order))).text
    assert traces(store) == []


async def test_who_comes_back_is_somebody_new(zoe: Life, admin: httpx.AsyncClient, sales: httpx.AsyncClient) -> None:
    await zoe.everything()
    await zoe.erase()
    back = good(await admin.put("/api/v1/orders/shop/Z-2", json=order_of("Z-2", now().isoformat())), 201)
    assert back["customer_id"] not in {None, zoe.customer_id}
    customer = good(await admin.get(f"/api/v1/customers/{back['customer_id']}"))
    assert customer["email"] == EMAIL
    assert customer["stats"]["orders_count"] == 1
    # What is older is not hers again.
    older = good(await admin.put("/api/v1/orders/shop/Z-1", json=order_of(status="delivered")))
    assert older["customer_id"] is None
    # Staff who speak with her may take her in, too, by what the new customer does not have.
    new = {"email": OTHER_EMAIL, "first_name": "Zoë"}
    good(await sales.post("/api/v1/customers", json=new), 201)


async def test_an_erasure_that_was_interrupted_is_carried_on(
    zoe: Life, store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is: after each step of the first round, and of the second."""
    await zoe.everything()
    kept = {c.name for c in contract().collections} - {"audit_log", "erasures", *KEPT}
    copies = {name: list(store.root[name].find({})) for name in kept}
    steps = [part for part in PARTS if part.forget is not None]
    for place in range(2 * len(steps) - 1):
        for name, rows in copies.items():
            store.root[name].delete_many({})
            if rows:
                store.root[name].insert_many(rows)
        with monkeypatch.context() as patched:
            patched.setattr(erasing, "PARTS", _ending_at(place))
            answer = await zoe.admin.post(f"/api/v1/customers/{zoe.customer_id}/erase", json={"reason": "Ticket"})
            assert answer.status_code == 503
        assert traces(store) != [] or place >= len(steps)
        store.root["erasures"].update_many({}, {"$set": {"claimed_until": now()}}, hint="by_time")
        with acting_as(database, Role.ADMIN):
            await erasing.carry_on()
        assert traces(store) == [], place
        assert {row["state"] for row in store.root["erasures"].find({})} == {"done"}


def _ending_at(place: int) -> tuple[Part, ...]:
    """The parts, of which the process ends at one of the steps that it makes."""
    made = itertools.count()

    def ending(forget: Callable[[Person], Awaitable[None]]) -> Callable[[Person], Awaitable[None]]:
        async def step(person: Person) -> None:
            if next(made) == place:
                raise Unavailable("The process ends.")
            await forget(person)

        return step

    return tuple(part if part.forget is None else replace(part, forget=ending(part.forget)) for part in PARTS)


def test_every_collection_is_decided_on() -> None:
    """A new collection needs a part that forgets and tells, or a reason why it holds nothing of a person."""
    held = [name for part in PARTS for name in part.collections]
    assert sorted([*held, *IMPERSONAL]) == sorted(c.name for c in contract().collections)
    assert all(len(reason) > 4 for reason in IMPERSONAL.values())


async def test_what_is_noted_of_others_loses_the_person(zoe: Life, store: Store) -> None:
    await zoe.everything()
    await zoe.erase()
    (note,) = store.root["interactions"].find({"mentions.id": {"$gt": ""}})
    assert (note["subject"], note["body"]) == (
        "Has the parcel of (removed)",
        "(removed) has moved; ring her: (removed)",
    )


@pytest.mark.parametrize("spelling", ["07700 900777", "(07700) 900-777", "07700 900777 x12"])
@pytest.mark.parametrize("known", ["07700 900777", "+44 7700 900777"])
async def test_nobody_comes_back_by_a_telephone_without_a_country(
    known: str, spelling: str, admin: httpx.AsyncClient, ingest: httpx.AsyncClient
) -> None:
    body = {"phone": known}
    zed = good(await admin.post("/api/v1/customers", json=body), 201)
    good(await admin.post(f"/api/v1/customers/{zed['id']}/erase", json={"reason": "Ticket 4711"}))
    refused(await ingest.post("/api/v1/customers", json={"phone": spelling}), 409, "erased")
    good(await ingest.post("/api/v1/customers", json={"phone": "07700 900778"}), 201)
