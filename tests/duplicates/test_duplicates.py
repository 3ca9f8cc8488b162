"""A scan finds who may be one, tells why, and heeds what was said; by the API and the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

from crm.customers import service as customers
from crm.database.driver import Database, acting_as
from crm.duplicates import scanning
from crm.duplicates.service import Scanned, scan
from crm.identity import SYSTEM, Role
from tests.fixtures.answers import good, refused, walk
from tests.fixtures.store import Store
from tests.merges.people import Body, customer, merge, read, settle, undo

pytestmark = pytest.mark.mongo

URL = "/api/v1/duplicates"
HOUSE = {"line1": "1 High Street", "postal_code": "LS1 1AA", "city": "Leeds", "country": "GB"}
ELSEWHERE = {**HOUSE, "postal_code": "LS2 2BB"}


async def scanned(database: Database, after: str = "", told: Callable[[int, str], None] = lambda *_: None) -> Scanned:
    with acting_as(database, Role.ADMIN):
        return await scan(SYSTEM, after, told)


async def open_pairs(client: httpx.AsyncClient) -> list[tuple[set[str], list[str], int]]:
    items: Sequence[Body] = good(await client.get(URL))["items"]
    return [({one["id"] for one in item["customers"]}, item["reasons"], item["score"]) for item in items]


async def test_pairs_are_found_with_their_reasons(sales: httpx.AsyncClient, database: Database, store: Store) -> None:
    ann = await customer(sales, email="ann@gmail.com", phone="+44 1632 960123", first_name="Ann", last_name="Example")
    tagged = await customer(sales, email="A.n.n+shop@googlemail.com")
    same = await customer(sales, email="b@example.com", phone="+441632960123", addresses=[HOUSE])
    house = await customer(sales, first_name="Zoë", last_name="Bloggs", addresses=[HOUSE, ELSEWHERE])
    home = await customer(sales, first_name="BLOGGS", last_name="Zoe", addresses=[{**HOUSE, "postal_code": "ls11aa"}])
    both = await customer(sales, email="zoe@example.com", phone="+44 1632 960999", tags=["not alike"])
    done = await scanned(database)
    assert (done.customers, done.pairs, done.crowded) == (6, 3, [])
    assert await open_pairs(sales) == [
        ({ann["id"], tagged["id"]}, ["same_mailbox"], 90),
        ({house["id"], home["id"]}, ["same_name_and_address"], 80),
        ({ann["id"], same["id"]}, ["same_phone"], 60),
    ]
    assert await walk(sales, URL, customer_id=both["id"]) == []
    assert len(await walk(sales, URL, customer_id=ann["id"], limit=1)) == 2
    stored = str(list(store.root["duplicate_pairs"].find({}))).lower()
    assert "example" not in stored, "pairs hold no personal data"
    assert "960123" not in stored


async def test_two_reasons_are_one_pair(sales: httpx.AsyncClient, database: Database) -> None:
    one = await customer(sales, email="ann@gmail.com", phone="+44 1632 960123")
    other = await customer(sales, email="ann+x@gmail.com", phone="+44 1632 960123")
    await scanned(database)
    assert await open_pairs(sales) == [({one["id"], other["id"]}, ["same_mailbox", "same_phone"], 96)]


async def test_what_was_dismissed_is_not_proposed_again_for_the_same_reasons(
    sales: httpx.AsyncClient, admin: httpx.AsyncClient, database: Database
) -> None:
    one = await customer(sales, email="ann@gmail.com", phone="+44 1632 960123")
    other = await customer(sales, email="bob@example.com", phone="+44 1632 960123")
    await scanned(database)
    (pair,) = good(await sales.get(URL))["items"]
    said = good(await sales.post(f"{URL}/{pair['id']}/dismiss"))
    assert (said["state"], said["dismissed_by"] is not None, said["reasons"]) == ("dismissed", True, ["same_phone"])
    assert good(await sales.post(f"{URL}/{pair['id']}/dismiss")) == said
    (entry,) = good(await admin.get("/api/v1/audit", params={"action": "duplicate.dismiss"}))["items"]
    assert (entry["actor"]["name"], entry["targets"]) == ("sales", sorted([one["id"], other["id"]]))
    await scanned(database)
    assert await open_pairs(sales) == []
    assert await walk(sales, URL, state="dismissed") == [pair["id"]]
    patch = {"version": other["version"], "email": "a.nn@gmail.com"}
    good(await sales.patch(f"/api/v1/customers/{other['id']}", json=patch))
    await scanned(database)
    assert await open_pairs(sales) == [({one["id"], other["id"]}, ["same_mailbox", "same_phone"], 96)]
    assert await walk(sales, URL, state="dismissed") == []


async def test_pairs_that_are_none_any_more_go(
    sales: httpx.AsyncClient, admin: httpx.AsyncClient, database: Database, store: Store
) -> None:
    people = [await customer(sales, email=f"ann+{n}@gmail.com") for n in range(3)]
    await scanned(database)
    assert len(await open_pairs(sales)) == 3
    patch = {"version": 1, "email": "new@example.com"}
    good(await sales.patch(f"/api/v1/customers/{people[0]['id']}", json=patch))
    await scanned(database)
    (pair,) = good(await sales.get(URL))["items"]
    assert (await admin.delete(f"/api/v1/customers/{people[1]['id']}")).status_code == 204
    assert store.root["duplicate_pairs"].count_documents({}) == 0
    refused(await sales.post(f"{URL}/{pair['id']}/dismiss"), 404, "not_found")


async def test_who_is_merged_is_proposed_no_more_and_again_when_that_is_undone(
    sales: httpx.AsyncClient, database: Database, store: Store
) -> None:
    people = [await customer(sales, email=f"ann+{n}@gmail.com") for n in range(3)]
    await scanned(database)
    made = await merge(sales, people[0], people[1])
    assert [pair for pair, _, _ in await open_pairs(sales)] == [{people[0]["id"], people[2]["id"]}]
    await scanned(database)
    assert [pair for pair, _, _ in await open_pairs(sales)] == [{people[0]["id"], people[2]["id"]}]
    assert (await read(sales, people[0]["id"]))["former_ids"] == [people[1]["id"]]
    await undo(sales, made["id"])
    with acting_as(database, Role.ADMIN):
        await settle(store)
    await scanned(database)
    assert len(await open_pairs(sales)) == 3


async def test_what_too_many_share_makes_no_pairs_but_is_told(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shop's own telephone; read in slices, as of a large store."""
    monkeypatch.setattr(scanning, "_TOGETHER", 4)
    monkeypatch.setattr(scanning, "_MOST_READ", 8)
    monkeypatch.setattr(scanning, "MOST_SHARING", 6)
    asked: list[int] = []
    sharing = customers.sharing

    async def watched(keys: list[str], limit: int) -> dict[str, list[str]]:
        found = await sharing(keys, limit)
        asked.append(len(found))
        return found

    monkeypatch.setattr(customers, "sharing", watched)
    people = [
        await customer(sales, email=f"c{n}@example.com", phone="+44 1632 960000", tags=[str(n)]) for n in range(11)
    ]
    twin = await customer(sales, email="c10@gmail.com", phone="+44 1632 960001")
    other = await customer(sales, email="c.10@gmail.com", phone="+44 1632 960001")
    steps: list[tuple[int, str]] = []
    done = await scanned(database, told=lambda count, last: steps.append((count, last)))
    assert (done.customers, done.pairs) == (13, 1)
    assert done.crowded == [("same_phone", min(one["id"] for one in people))]
    assert max(asked) <= 8, "however many share a key, few are read"
    assert [count for count, _ in steps] == [4, 8, 12, 13]
    assert [pair for pair, _, _ in await open_pairs(sales)] == [{twin["id"], other["id"]}]


async def test_a_scan_that_was_interrupted_goes_on(
    sales: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "_TOGETHER", 2)
    for n in range(6):
        await customer(sales, email=f"ann+{n}@gmail.com")
    last = ""

    class Interrupted(Exception):
        pass

    def told(count: int, customer_id: str) -> None:
        nonlocal last
        last = customer_id
        if count == 4:
            raise Interrupted

    with pytest.raises(Interrupted):
        await scanned(database, told=told)
    done = await scanned(database, after=last)
    assert (done.customers, done.pairs) == (2, 1)
    found: list[Any] = await open_pairs(sales)
    assert len(found) == 15


async def test_a_list_needs_what_an_index_serves(sales: httpx.AsyncClient) -> None:
    refused(await sales.get(URL, params={"sort": "found_at"}), 400, "unreadable_request")
    refused(await sales.get(URL, params={"state": "open", "customer_id": "cus_1"}), 400, "unreadable_request")
    refused(await sales.post(f"{URL}/dup_nothing/dismiss"), 404, "not_found")
