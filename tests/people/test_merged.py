"""Somebody with two records that were made one, or two again: all of them goes, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from crm.customers import joining
from crm.database.driver import Database, acting_as
from crm.identity import SYSTEM, Role
from crm.people import erasing, service
from crm.people.parts import PARTS
from crm.person import Person
from tests.fixtures.answers import good, refused
from tests.fixtures.store import Store, totals_settled
from tests.merges.people import CUSTOMERS, MERGES, merge_now, undo
from tests.people.living import SECOND, Life, order_of, traces
from tests.people.test_restoring import dump, known_of, restore

pytestmark = pytest.mark.mongo
Body = dict[str, Any]


async def replay(database: Database) -> None:
    with acting_as(database, Role.ADMIN):
        await service.replay_all(SYSTEM, await known_of(database), lambda _what, _count: None)


async def test_the_old_id_leads_to_whom_is_erased(zoe: Life, admin: httpx.AsyncClient, store: Store) -> None:
    await zoe.everything()
    for path in ("/erase", "/export"):
        answer = await admin.post(f"{CUSTOMERS}/{zoe.merged_id}{path}", json={"reason": "Ticket 4711"})
        refused(answer, 308, "moved")
        assert answer.headers["location"] == f"{CUSTOMERS}/{zoe.customer_id}{path}"
    answer = await admin.post(
        f"{CUSTOMERS}/{zoe.merged_id}/erase", json={"reason": "Ticket 4711"}, follow_redirects=True
    )
    assert good(answer)["customer_id"] == zoe.customer_id
    assert traces(store) == []
    for customer_id in (zoe.customer_id, zoe.merged_id):
        refused(await admin.get(f"{CUSTOMERS}/{customer_id}"), 404, "not_found")
    for method, path in (("GET", ""), ("POST", "/undo")):
        refused(await admin.request(method, f"{MERGES}/{zoe.merge_id}{path}"), 404, "not_found")


async def test_no_name_of_either_record_brings_them_back(
    zoe: Life, admin: httpx.AsyncClient, ingest: httpx.AsyncClient, store: Store
) -> None:
    """Also a telephone that the merge did not keep, which stands in the merge alone."""
    await zoe.everything()
    assert good(await admin.get(f"{CUSTOMERS}/{zoe.customer_id}"))["phone"] != SECOND["phone"]
    await zoe.erase()
    for name in ("email", "phone", "external_ids"):
        refused(await ingest.post(CUSTOMERS, json={"first_name": "Zoë", name: SECOND[name]}), 409, "erased")
    for number, ref in enumerate(({"id": zoe.merged_id}, {"email": SECOND["email"]}, {"external_id": "zoe-second"})):
        put = await admin.put(f"/api/v1/orders/shop/M-{number}", json=order_of(f"M-{number}", customer=ref))
        assert good(put, 201)["customer_id"] is None
    await totals_settled(store)
    assert traces(store) == []


async def test_what_a_restored_merge_kept_does_not_come_back(
    zoe: Life, admin: httpx.AsyncClient, store: Store, database: Database
) -> None:
    await zoe.everything()
    await totals_settled(store)
    dumped = dump(store)
    await zoe.erase()
    restore(store, database, dumped)
    refused(await admin.post(f"{MERGES}/{zoe.merge_id}/undo"), 409, "erased")
    await replay(database)
    assert traces(store) == []
    # The merges alone: a dump is not of one moment.
    restore(store, database, {"merges": dumped["merges"]})
    assert traces(store) != []
    await replay(database)
    assert traces(store) == []
    assert store.root["merges"].find_one({}) is None


async def bob_merged_by_mistake(zoe: Life) -> tuple[str, Body]:
    """Somebody else, whose record was hers for a moment; his id, and the merge."""
    bob = good(await zoe.admin.post(CUSTOMERS, json={"email": "bob@example.com", "first_name": "Bob"}), 201)["id"]
    return bob, good(await merge_now(zoe.admin, bob, zoe.customer_id))


@pytest.mark.parametrize("then_merged", [False, True])
async def test_who_was_one_with_them_by_mistake_stays_and_tells_nothing_of_them(
    then_merged: bool, zoe: Life, admin: httpx.AsyncClient, store: Store
) -> None:
    await zoe.everything()
    bob, made = await bob_merged_by_mistake(zoe)
    await undo(admin, made["id"])
    if then_merged:  # what Bob was before stands in this merge, his history with Zoë included
        carol = good(await admin.post(CUSTOMERS, json={"email": "carol@example.com"}), 201)["id"]
        settled = {"$set": {"state": "undone"}, "$unset": {"due_at": ""}}
        store.root["merges"].update_one({"_id": made["id"]}, settled)
        later = good(await merge_now(admin, carol, bob))
    assert traces(store) != []
    await zoe.erase()
    assert traces(store) == []
    if then_merged:
        assert (await undo(admin, later["id"]))["other"]["id"] == bob
    assert good(await admin.get(f"{CUSTOMERS}/{bob}"))["email"] == "bob@example.com"


async def test_what_is_on_its_way_back_from_them_is_not_erased_with_them(
    zoe: Life, admin: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A merge with Bob was just undone, and his order has not been moved yet."""
    await zoe.everything()
    put = await admin.put("/api/v1/orders/shop/B-1", json=order_of("B-1", customer={"email": "bob@example.com"}))
    bob = good(put, 201)["customer_id"]
    made = good(await merge_now(admin, zoe.customer_id, bob))
    await undo(admin, made["id"])
    moved = {"customer_id": zoe.customer_id, "moved_by": [made["id"]]}
    store.root["orders"].update_one({"external_id": "B-1"}, {"$set": moved})
    await zoe.erase()
    assert good(await admin.get("/api/v1/orders/shop/B-1"))["customer_id"] == bob


async def test_nobody_is_merged_while_being_erased(
    zoe: Life, admin: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another process has not heard of it yet, and merges them all the same, all of them goes."""
    await zoe.everything()
    carol = good(await admin.post(CUSTOMERS, json={"email": "carol@example.com", "last_name": "Quill"}), 201)["id"]
    answers: list[httpx.Response] = []

    async def step(person: Person) -> None:
        if not answers:
            answers.append(await merge_now(admin, carol, zoe.customer_id))
            with monkeypatch.context() as unheard:
                unheard.setattr(joining, "was_erased", lambda _known, _row: False)
                answers.append(await merge_now(admin, carol, zoe.customer_id))

    parts = (replace(PARTS[0], forget=step), *PARTS[1:])
    monkeypatch.setattr(erasing, "PARTS", parts)
    await zoe.erase()
    refused(answers[0], 409, "erased")
    assert good(answers[1])["survivor_id"] == carol
    assert traces(store) == []
    for customer_id in (carol, zoe.customer_id, zoe.merged_id):
        refused(await admin.get(f"{CUSTOMERS}/{customer_id}"), 404, "not_found")
