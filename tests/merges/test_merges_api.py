"""Merging two customers, and undoing it, by the API: everything moves, and everything comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from crm.clock import now
from crm.database.driver import Database, acting_as
from crm.identity import Role
from tests.fixtures.answers import good, refused, walk
from tests.fixtures.shop import push
from tests.fixtures.store import Store, totals_settled
from tests.merges.people import (
    CUSTOMERS,
    MERGES,
    Body,
    Two,
    customer,
    merge,
    merge_now,
    owners,
    read,
    settle,
    snapshot,
    undo,
)

pytestmark = pytest.mark.mongo


async def test_all_that_belonged_to_the_other_belongs_to_the_survivor(
    people: Two, sales: httpx.AsyncClient, admin: httpx.AsyncClient, store: Store
) -> None:
    made = await merge(sales, people.ann, people.bob)
    ann, bob = people.ann["id"], people.bob["id"]
    assert (made["survivor_id"], made["other_id"], made["state"]) == (ann, bob, "moving")
    survivor = made["customer"]
    assert survivor["former_ids"] == [bob]
    assert survivor["stats"]["orders_count"] == 2
    assert survivor["stats"]["totals"][0]["gross"] == "30.38"
    assert [entry["id"] for entry in survivor["external_ids"]] == ["c-1", "c-2"]
    assert [entry["source"] for entry in survivor["consents"]] == ["ann", "bob"]
    assert owners(store) == {"orders": {ann}, "order_versions": {ann}, "interactions": {ann}}
    for query in ({"email": "bob@example.com"}, {"external_source": "shop", "external_id": "c-2"}):
        assert await walk(sales, CUSTOMERS, **query) == [ann]
    kinds = [entry["kind"] for entry in good(await sales.get(f"{CUSTOMERS}/{ann}/timeline"))["items"]]
    assert [kinds.count(kind) for kind in ("order", "interaction", "event")] == [2, 3, 2]
    assert len(await walk(admin, "/api/v1/events", customer_id=ann)) == 2
    assert store.root["customers"].count_documents({}) == 1
    assert store.root["events"].count_documents({"identity_id": bob}) == 1, "events are never rewritten"


async def test_undone_everything_is_what_it_was(
    people: Two, sales: httpx.AsyncClient, database: Database, store: Store
) -> None:
    before = snapshot(store)
    made = await merge(sales, people.ann, people.bob)
    undone = await undo(sales, made["id"])
    assert (undone["state"], undone["kept"], undone["withheld"]) == ("undoing", [], [])
    ours = {"version", "updated_at"}
    for was, answered in ((people.ann, undone["customer"]), (people.bob, undone["other"])):
        assert {k: v for k, v in answered.items() if k not in ours} == {k: v for k, v in was.items() if k not in ours}
        assert answered["version"] > was["version"]
    await totals_settled(store)
    assert snapshot(store) == before
    with acting_as(database, Role.ADMIN):
        await settle(store)
    assert good(await sales.get(f"{MERGES}/{made['id']}"))["state"] == "undone"
    await totals_settled(store)
    assert snapshot(store) == before
    kept = store.root["merges"].find_one({})
    assert kept
    assert not {"survivor_before", "other_before", "merged"} & kept.keys()


async def test_what_a_note_mentions_stays_what_it_is(
    people: Two, sales: httpx.AsyncClient, database: Database, store: Store
) -> None:
    """An order goes with its customer and keeps its id, and so does a note that mentions it."""
    order = good(await sales.get("/api/v1/orders/shop/o-2"))["id"]
    mentions = [{"kind": "order", "id": order}]
    body = {"customer_id": people.bob["id"], "kind": "note", "body": "Late", "mentions": mentions}
    note = good(await sales.post("/api/v1/interactions", json=body), 201)
    made = await merge(sales, people.ann, people.bob)
    merged = good(await sales.get(f"/api/v1/interactions/{note['id']}"))
    assert (merged["customer_id"], merged["mentions"]) == (people.ann["id"], note["mentions"])
    assert await walk(sales, "/api/v1/interactions", mentions=f"order:{order}") == [note["id"]]
    await undo(sales, made["id"])
    with acting_as(database, Role.ADMIN):
        await settle(store)
    back = good(await sales.get(f"/api/v1/interactions/{note['id']}"))
    ours = {"version", "updated_at"}
    assert {k: v for k, v in back.items() if k not in ours} == {k: v for k, v in note.items() if k not in ours}


async def test_an_old_id_leads_to_the_survivor_for_ever(
    people: Two, sales: httpx.AsyncClient, admin: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: Body
) -> None:
    ann, bob = people.ann["id"], people.bob["id"]
    await merge(sales, people.ann, people.bob)
    for path in ("", "/orders?limit=1", "/timeline?kind=order&limit=2", "/activity", "/changes", "/overview"):
        answer = await sales.get(f"{CUSTOMERS}/{bob}{path}")
        refused(answer, 308, "moved")
        assert answer.headers["location"] == f"{CUSTOMERS}/{ann}{path}"
        assert good(await sales.get(answer.headers["location"]))
    for method, path, body in (
        ("PATCH", "", {"version": 1, "tags": ["x"]}),
        ("POST", "/consents", people.ann["consents"][0]),
        ("POST", "/merge-preview", {"other": ann}),
        ("POST", "/reveal", {"fields": ["email"], "reason": "She asked for it."}),
        ("DELETE", "", None),
    ):
        answer = await admin.request(method, f"{CUSTOMERS}/{bob}{path}", json=body)
        refused(answer, 308, "moved")
        assert answer.headers["location"] == f"{CUSTOMERS}/{ann}{path}"
    assert (await push(ingest, {**order_body, "customer": {"id": bob}}, "o-3"))["customer_id"] == ann
    body = {"customer_id": bob, "kind": "note", "body": "hello"}
    assert good(await sales.post("/api/v1/interactions", json=body), 201)["customer_id"] == ann
    for path in ("/api/v1/orders", "/api/v1/interactions"):
        assert await walk(sales, path, customer_id=bob) == await walk(sales, path, customer_id=ann) != []
    order = good(await sales.get("/api/v1/orders/shop/o-3"))
    answer = await admin.patch(f"/api/v1/orders/{order['id']}", json={"version": 1, "customer_id": bob, "note": "x"})
    assert good(answer)["customer_id"] == ann
    event = {"source": "web", "message_id": "late", "type": "page", "occurred_at": "2026-01-31T12:00:00Z"}
    good(await admin.post("/api/v1/events", json={"events": [{**event, "customer": {"id": bob}}]}))
    assert len(await walk(admin, "/api/v1/events", customer_id=bob)) == 3


async def test_who_has_read_the_other_cannot_write_over_the_survivor(people: Two, sales: httpx.AsyncClient) -> None:
    """The other was changed more often: its versions must not come round again under the survivor's id."""
    bob = people.bob
    for tag in ("a", "b", "c"):
        answer = await sales.patch(f"{CUSTOMERS}/{bob['id']}", json={"version": bob["version"], "tags": [tag]})
        bob = good(answer)
    made = await merge(sales, people.ann, bob)
    assert made["customer"]["version"] > bob["version"] > people.ann["version"]
    stale = await sales.patch(f"{CUSTOMERS}/{people.ann['id']}", json={"version": bob["version"], "tags": []})
    refused(stale, 412, "stale_version")
    undone = await undo(sales, made["id"])
    assert undone["other"]["version"] > made["customer"]["version"]


async def test_a_preview_says_what_becomes_of_each_field_and_changes_nothing(
    people: Two, sales: httpx.AsyncClient, store: Store
) -> None:
    before = snapshot(store)
    ann, bob = people.ann["id"], people.bob["id"]
    shown = good(await sales.post(f"{CUSTOMERS}/{ann}/merge-preview", json={"other": bob}))
    assert (shown["this"], shown["other"]) == (people.ann, people.bob)
    told = {decision["field"]: (decision["origin"], decision["conflict"]) for decision in shown["decisions"]}
    assert told == {
        "email": ("this", True),
        "first_name": ("this", True),
        "addresses": ("both", False),
        "external_ids": ("both", False),
        "consents": ("both", False),
    }
    assert all(decision["why"].endswith(".") for decision in shown["decisions"])
    assert snapshot(store) == before
    made = await merge(sales, people.ann, people.bob)
    changing = {"version", "updated_at", "stats"}
    result = {name: value for name, value in shown["result"].items() if name not in changing}
    assert {name: value for name, value in made["customer"].items() if name not in changing} == result


async def test_a_conflict_is_decided_by_a_choice(people: Two, sales: httpx.AsyncClient) -> None:
    made = await merge(sales, people.ann, people.bob, email="other", first_name="other")
    survivor = made["customer"]
    assert (survivor["email"], survivor["first_name"]) == ("bob@example.com", "Bob")
    for address in ("ann@example.com", "bob@example.com"):
        assert await walk(sales, CUSTOMERS, email=address) == [survivor["id"]]
    undone = await undo(sales, made["id"])
    assert (undone["customer"]["email"], undone["other"]["email"]) == ("ann@example.com", "bob@example.com")


async def test_what_is_edited_in_between_stays_and_what_came_since_too(
    people: Two, sales: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    ann, bob = people.ann["id"], people.bob["id"]
    made = await merge(sales, people.ann, people.bob)
    changed = {"version": made["customer"]["version"], "last_name": "Smith", "attributes": {"size": "L"}}
    good(await sales.patch(f"{CUSTOMERS}/{ann}", json=changed))
    new = await push(ingest, {**order_body, "customer": {"external_id": "c-9", "email": "bob@example.com"}}, "o-9")
    old = await push(ingest, {**order_body, "customer": {"external_id": "c-2"}, "status": "cancelled"}, "o-2")
    assert (new["customer_id"], old["customer_id"]) == (ann, ann)
    undone = await undo(sales, made["id"])
    assert undone["kept"] == ["last_name", "external_ids", "attributes.size"]
    assert undone["customer"]["last_name"] == "Smith"
    assert undone["customer"]["attributes"] == {"size": "L"}
    assert [entry["id"] for entry in undone["customer"]["external_ids"]] == ["c-1", "c-9"]
    assert [entry["id"] for entry in undone["other"]["external_ids"]] == ["c-2"]
    rows = {row["external_id"]: row["customer_id"] for row in store.root["orders"].find({})}
    assert rows == {"o-1": ann, "o-2": bob, "o-9": ann}, "o-2 was the other's before, and goes back as it is now"
    versions = {row["order_id"]: row["customer_id"] for row in store.root["order_versions"].find({})}
    assert versions == {
        row["_id"]: rows[row["external_id"]] for row in store.root["orders"].find({}) if row["version"] > 1
    }
    assert undone["other"]["stats"]["orders_count"] == 0, "it is cancelled"
    assert undone["customer"]["stats"]["orders_count"] == 2


async def test_what_is_unique_and_was_given_away_is_withheld(people: Two, sales: httpx.AsyncClient) -> None:
    made = await merge(sales, people.ann, people.bob)
    ann = people.ann["id"]
    version = made["customer"]["version"]
    patch = {"version": version, "email": "bob@example.com", "external_ids": [{"source": "shop", "id": "c-1"}]}
    good(await sales.patch(f"{CUSTOMERS}/{ann}", json=patch))
    third = await customer(sales, last_name="Third", external_ids=[{"source": "shop", "id": "c-2"}])
    undone = await undo(sales, made["id"])
    assert undone["withheld"] == ["email", "external_ids"]
    assert (undone["customer"]["email"], undone["other"]["email"]) == ("bob@example.com", None)
    assert undone["other"]["external_ids"] == []
    assert (await read(sales, third["id"]))["external_ids"] == [{"source": "shop", "id": "c-2"}]


async def test_nobody_comes_back_of_whom_nothing_is_left(sales: httpx.AsyncClient) -> None:
    this = await customer(sales, last_name="Example")
    other = await customer(sales, email="other@example.com")
    made = await merge(sales, this, other)
    version = made["customer"]["version"]
    good(await sales.patch(f"{CUSTOMERS}/{this['id']}", json={"version": version, "email": "new@example.com"}))
    await customer(sales, email="other@example.com")
    refused(await sales.post(f"{MERGES}/{made['id']}/undo"), 409, "conflict")
    assert (await read(sales, this["id"]))["former_ids"] == [other["id"]], "nothing was changed"


async def test_of_a_chain_the_last_merge_is_undone_first(sales: httpx.AsyncClient, store: Store) -> None:
    a, b, c = [await customer(sales, last_name=name, tags=[name]) for name in "ABC"]
    first = await merge(sales, b, c)
    second = await merge(sales, a, first["customer"])
    for old in (b, c):
        assert (await sales.get(f"{CUSTOMERS}/{old['id']}")).headers["location"] == f"{CUSTOMERS}/{a['id']}"
    assert second["customer"]["former_ids"] == [c["id"], b["id"]]
    body = refused(await sales.post(f"{MERGES}/{first['id']}/undo"), 409, "conflict")
    assert second["id"] in body["detail"]
    d = await customer(sales, last_name="D")
    third = await merge(sales, second["customer"], d)
    body = refused(await sales.post(f"{MERGES}/{second['id']}/undo"), 409, "conflict")
    assert third["id"] in body["detail"]
    for made in (third, second):
        await undo(sales, made["id"])
    assert (await sales.get(f"{CUSTOMERS}/{c['id']}")).headers["location"] == f"{CUSTOMERS}/{b['id']}"
    undone = await undo(sales, first["id"])
    assert [undone[name]["tags"] for name in ("customer", "other")] == [["B"], ["C"]]
    assert all("former" not in row for row in store.root["customers"].find({}))
    assert await walk(sales, MERGES) == [third["id"], second["id"], first["id"]]
    assert await walk(sales, MERGES, customer_id=c["id"]) == [first["id"]]


async def test_the_same_request_again_changes_nothing(people: Two, sales: httpx.AsyncClient, store: Store) -> None:
    made = await merge(sales, people.ann, people.bob)
    again = await merge(sales, people.ann, people.bob)
    assert (again["id"], again["customer"]) == (made["id"], made["customer"])
    undone = await undo(sales, made["id"])
    again = await undo(sales, made["id"])
    assert (again["customer"], again["other"]) == (undone["customer"], undone["other"])
    assert store.root["merges"].count_documents({}) == 1


async def test_what_nobody_has_looked_at_is_not_merged(people: Two, sales: httpx.AsyncClient, store: Store) -> None:
    good(await sales.patch(f"{CUSTOMERS}/{people.bob['id']}", json={"version": people.bob["version"], "tags": ["x"]}))
    versions = {"this": people.ann["version"], "other": people.bob["version"]}
    body = {"other": people.bob["id"], "versions": versions}
    refused(await sales.post(f"{CUSTOMERS}/{people.ann['id']}/merge", json=body), 412, "stale_version")
    assert store.root["merges"].count_documents({}) == 0
    assert store.root["customers"].count_documents({}) == 2


async def test_what_cannot_be_merged_is_refused(people: Two, sales: httpx.AsyncClient, store: Store) -> None:
    ann, bob = people.ann, people.bob
    url = f"{CUSTOMERS}/{ann['id']}/merge"
    versions = {"this": ann["version"], "other": bob["version"]}
    for other in ("cus_nobody", ann["id"]):
        refused(await sales.post(url, json={"other": other, "versions": versions}), 422, "invalid_input", "/other")
        refused(await sales.post(f"{url}-preview", json={"other": other}), 422, "invalid_input", "/other")
    choices: dict[str, Any] = {"choices": {"last_name": "this"}}
    body = {"other": bob["id"], "versions": versions}
    refused(await sales.post(url, json=body | choices), 422, "invalid_input", "/choices/last_name")
    refused(await sales.post(url, json={"other": bob["id"]}), 422, "invalid_input", "/versions")
    refused(await sales.post(f"{CUSTOMERS}/cus_nobody/merge", json=body), 404, "not_found")
    refused(await sales.post(f"{CUSTOMERS}/cus_nobody/merge-preview", json={"other": bob["id"]}), 404, "not_found")
    refused(await sales.get(f"{MERGES}/mrg_nothing"), 404, "not_found")
    refused(await sales.post(f"{MERGES}/mrg_nothing/undo"), 404, "not_found")
    carol = await customer(sales, last_name="Carol")
    await merge(sales, ann, bob)
    answer = await sales.post(
        f"{CUSTOMERS}/{carol['id']}/merge", json={"other": bob["id"], "versions": {"this": 1, "other": 1}}
    )
    refused(answer, 422, "invalid_input", "/other")
    assert store.root["merges"].count_documents({}) == 1


async def test_while_a_merge_is_being_undone_its_customers_are_left_alone(
    people: Two, sales: httpx.AsyncClient, database: Database, store: Store
) -> None:
    made = await merge(sales, people.ann, people.bob)
    await undo(sales, made["id"])
    answer = await merge_now(sales, people.ann["id"], people.bob["id"])
    refused(answer, 409, "conflict")
    assert answer.headers["retry-after"]
    with acting_as(database, Role.ADMIN):
        await settle(store)
    assert good(await merge_now(sales, people.ann["id"], people.bob["id"]))["state"] == "moving"


async def test_after_thirty_days_a_merge_is_for_good_and_its_documents_are_forgotten(
    people: Two, sales: httpx.AsyncClient, database: Database, store: Store
) -> None:
    made = await merge(sales, people.ann, people.bob)
    store.root["merges"].update_one({}, {"$set": {"undo_until": now() - timedelta(seconds=1)}})
    refused(await sales.post(f"{MERGES}/{made['id']}/undo"), 409, "conflict")
    with acting_as(database, Role.ADMIN):
        await settle(store)
    kept = store.root["merges"].find_one({})
    assert kept
    assert not {"survivor_before", "other_before", "merged", "undo_until"} & kept.keys()
    refused(await sales.post(f"{MERGES}/{made['id']}/undo"), 409, "conflict")
    assert good(await sales.get(f"{MERGES}/{made['id']}"))["state"] == "moved"


async def test_a_deleted_survivor_leaves_nothing_of_either(
    people: Two, sales: httpx.AsyncClient, admin: httpx.AsyncClient, store: Store
) -> None:
    made = await merge(sales, people.ann, people.bob)
    await totals_settled(store)
    assert (await admin.delete(f"{CUSTOMERS}/{people.ann['id']}")).status_code == 204
    for name in ("customers", "interactions", "events", "activities", "merges"):
        assert store.root[name].count_documents({}) == 0, name
    for row in [*store.root["orders"].find({}), *store.root["order_versions"].find({})]:
        assert not row.keys() & {"customer_id", "note", "moved_by"}
        assert row["shipping_address"].keys() == {"country"}
    for one in (people.ann, people.bob):
        refused(await sales.get(f"{CUSTOMERS}/{one['id']}"), 404, "not_found")
    refused(await sales.post(f"{MERGES}/{made['id']}/undo"), 404, "not_found")
