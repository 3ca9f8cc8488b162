"""What arrives while customers are merged or parted, held up at the worst moment; and whoever dies in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from crm.clock import now
from crm.customers import service as customers
from crm.database import moving as batches
from crm.database.driver import Database, acting_as
from crm.identity import Role
from crm.merges import moving
from tests.fixtures.answers import good, refused, walk
from tests.fixtures.shop import ORDERS, push
from tests.fixtures.store import Store, totals_settled
from tests.merges.people import (
    CUSTOMERS,
    MERGES,
    Body,
    Two,
    die,
    merge,
    merge_now,
    owners,
    read,
    settle,
    snapshot,
    undo,
    until,
    until_merged,
)

pytestmark = pytest.mark.mongo


class Held:
    """Holds a call up after it has been made, until it is let go."""

    def __init__(self, made: Callable[..., Awaitable[Any]]) -> None:
        self._made = made
        self._holding = True
        self.reached = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __call__(self, *arguments: Any, **named: Any) -> Any:
        found = await self._made(*arguments, **named)
        if self._holding:
            self._holding = False
            self.reached.set()
            await self.let_go.wait()
        return found


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> Held:
    """The next push is held up when it knows whose it is, and has written nothing yet."""
    held = Held(customers.resolve_many)
    monkeypatch.setattr(customers, "resolve_many", held)
    return held


@pytest.mark.parametrize("external_id", ["o-new", "o-2"], ids=["a new order", "an order that is there"])
async def test_a_push_that_found_the_other_before_the_merge_ends_with_the_survivor(
    external_id: str, people: Two, resolved: Held, sales: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: Body
) -> None:
    ann, bob = people.ann["id"], people.bob["id"]
    body = {**order_body, "customer": {"external_id": "c-2"}, "note": "late"}
    pushing_ = asyncio.create_task(push(ingest, body, external_id))
    await resolved.reached.wait()
    made = await merge(sales, people.ann, people.bob)
    resolved.let_go.set()
    pushed = await pushing_
    assert pushed["customer_id"] in {ann, bob}
    # Read at once: the totals show every order that was answered before, whatever it was marked with.
    shown = await read(sales, ann)
    assert shown["stats"]["orders_count"] == (3 if external_id == "o-new" else 2)
    order = good(await sales.get(f"{ORDERS}/shop/{external_id}"))
    assert (order["customer_id"], order["note"]) == (ann, "late")
    assert good(await sales.get(f"{CUSTOMERS}/{ann}"))["stats"] == shown["stats"]
    await undo(sales, made["id"])
    order = good(await sales.get(f"{ORDERS}/shop/{external_id}"))
    assert order["customer_id"] == bob, "it was the other's, and goes back like the rest"


async def test_an_order_pushed_between_the_merge_and_the_moving_goes_back_too(
    people: Two, sales: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The push itself takes it to the survivor, before the merge has come to it."""
    held = Held(_nothing)
    begin = moving.begin

    async def later(row: Any) -> None:
        await held()
        await begin(row)

    monkeypatch.setattr(moving, "begin", later)
    merging = asyncio.create_task(merge(sales, people.ann, people.bob))
    await held.reached.wait()
    pushed = await push(ingest, {**order_body, "customer": {"external_id": "c-2"}, "note": "between"}, "o-2")
    assert pushed["customer_id"] == people.ann["id"]
    held.let_go.set()
    await undo(sales, (await merging)["id"])
    order = good(await sales.get(f"{ORDERS}/shop/o-2"))
    assert (order["customer_id"], order["note"]) == (people.bob["id"], "between")


async def test_a_push_that_outlasts_merge_and_undo_ends_where_it_belongs(
    people: Two, resolved: Held, sales: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: Body
) -> None:
    body = {**order_body, "customer": {"external_id": "c-2"}}
    pushing_ = asyncio.create_task(push(ingest, body, "o-new"))
    await resolved.reached.wait()
    await undo(sales, (await merge(sales, people.ann, people.bob))["id"])
    resolved.let_go.set()
    await pushing_
    counts = [(await read(sales, one["id"]))["stats"]["orders_count"] for one in (people.ann, people.bob)]
    assert counts == [1, 2]


async def test_a_push_of_the_survivor_that_outlasts_the_undo_is_repaired(
    people: Two, resolved: Held, sales: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    """It found the survivor while they were one, and is stored when they are two: it came in between, and stays."""
    made = await merge(sales, people.ann, people.bob)
    body = {**order_body, "customer": {"external_id": "c-2"}}
    pushing_ = asyncio.create_task(push(ingest, body, "o-new"))
    await resolved.reached.wait()
    await undo(sales, made["id"])
    resolved.let_go.set()
    assert (await pushing_)["customer_id"] == people.ann["id"]
    again = await push(ingest, {**body, "note": "again"}, "o-new")
    assert again["customer_id"] == people.bob["id"], "sent again, it goes where it belongs"
    await totals_settled(store)


async def test_an_interaction_noted_in_the_same_moment_ends_with_the_survivor(
    people: Two, sales: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(customers.current)
    monkeypatch.setattr(customers, "current", held)
    body = {"customer_id": people.bob["id"], "kind": "note", "body": "late"}
    noting = asyncio.create_task(sales.post("/api/v1/interactions", json=body))
    await held.reached.wait()
    made = await merge(sales, people.ann, people.bob)
    held.let_go.set()
    noted = good(await noting, 201)
    assert noted["customer_id"] == people.ann["id"]
    await undo(sales, made["id"])
    found = good(await sales.get(f"/api/v1/interactions/{noted['id']}"))
    assert found["customer_id"] == people.bob["id"]


async def test_what_whoever_died_left_with_the_other_is_found_by_the_second_look(
    people: Two, sales: httpx.AsyncClient, database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after it was stored, before anybody could look whether the customer is still there."""
    made = await merge(sales, people.ann, people.bob)
    row = store.root["interactions"].find_one({}) or {}
    for name in ("interactions", "order_versions"):
        row = store.root[name].find_one({}) or {}
        row.pop("moved_by", None)
        late = {"order_id": "ord_late", "version": 1} if name == "order_versions" else {}
        prefix = row["_id"].split("_")[0]
        store.root[name].insert_one({**row, **late, "_id": f"{prefix}_LATE", "customer_id": people.bob["id"]})
    with acting_as(database, Role.ADMIN):
        await moving.sweep()
        assert owners(store)["interactions"] == {people.ann["id"], people.bob["id"]}, "it is not due yet"
        await settle(store)
    assert owners(store)["interactions"] == owners(store)["order_versions"] == {people.ann["id"]}
    assert good(await sales.get(f"{MERGES}/{made['id']}"))["state"] == "moved"
    await undo(sales, made["id"])
    for name in ("interactions", "order_versions"):
        found = store.root[name].find_one({"_id": {"$regex": "_LATE$"}}, hint="_id_")
        assert found
        assert (found["customer_id"], "moved_by" in found) == (people.bob["id"], False)


class Killed(BaseException):
    """What ends a process is no error that anybody handles."""


@pytest.mark.parametrize("survives", range(3))
async def test_a_merge_whose_process_dies_in_the_middle_is_carried_on_and_undone(
    survives: int,
    people: Two,
    sales: httpx.AsyncClient,
    database: Database,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It dies after so many batches, of merging as of undoing."""
    before = snapshot(store)
    versions = {"this": people.ann["version"], "other": people.bob["version"]}
    with dying(monkeypatch, survives):
        await _killed(
            sales.post(f"{CUSTOMERS}/{people.ann['id']}/merge", json={"other": people.bob["id"], "versions": versions})
        )
    (row,) = store.root["merges"].find({})
    assert row["state"] == "moving"
    die(store)
    with acting_as(database, Role.ADMIN):
        await until(store, {"due_at": {"$lt": now()}})
    ann = people.ann["id"]
    assert owners(store) == {"orders": {ann}, "order_versions": {ann}, "interactions": {ann}}
    assert (await read(sales, ann))["stats"]["orders_count"] == 2
    with dying(monkeypatch, survives):
        await _killed(sales.post(f"{MERGES}/{row['_id']}/undo"))
    die(store)
    with acting_as(database, Role.ADMIN):
        await settle(store)
    await totals_settled(store)
    assert snapshot(store) == before
    assert good(await sales.get(f"{MERGES}/{row['_id']}"))["state"] == "undone"


async def test_two_who_merge_the_same_at_once_make_one_merge(
    people: Two, sales: httpx.AsyncClient, store: Store
) -> None:
    ann, bob = people.ann["id"], people.bob["id"]
    answers = await asyncio.gather(
        merge_now(sales, ann, bob), merge_now(sales, bob, ann), merge_now(sales, ann, bob), return_exceptions=True
    )
    assert store.root["merges"].count_documents({}) == 1
    assert store.root["customers"].count_documents({}) == 1
    made = [answer for answer in answers if isinstance(answer, httpx.Response) and answer.status_code == 200]
    assert len({answer.json()["id"] for answer in made}) == 1
    for answer in answers:
        if isinstance(answer, httpx.Response):
            assert answer.status_code in {200, 308, 412, 422}, answer.text


async def test_two_who_undo_at_once_undo_once(people: Two, sales: httpx.AsyncClient, store: Store) -> None:
    made = await merge(sales, people.ann, people.bob)
    answers = await asyncio.gather(*(sales.post(f"{MERGES}/{made['id']}/undo") for _ in range(4)))
    assert [good(answer)["state"] for answer in answers] == ["undoing"] * 4
    assert store.root["customers"].count_documents({}) == 2


async def test_an_edit_and_a_merge_at_once_lose_nothing(people: Two, sales: httpx.AsyncClient) -> None:
    """Whichever is second sees what the first has done, or is told to look again."""
    ann, bob = people.ann, people.bob
    url, versions = f"{CUSTOMERS}/{ann['id']}", {"this": ann["version"], "other": bob["version"]}
    edited, merged = await asyncio.gather(
        sales.patch(f"{CUSTOMERS}/{bob['id']}", json={"version": bob["version"], "tags": ["edited"]}),
        sales.post(f"{url}/merge", json={"other": bob["id"], "versions": versions}),
    )
    if edited.status_code == 200:
        refused(merged, 412, "stale_version")
        assert (await read(sales, bob["id"]))["tags"] == ["edited"]
    else:
        assert edited.status_code in {308, 409, 412, 503}, edited.text
        assert good(merged)["customer"]["former_ids"] == [bob["id"]]


async def test_pushes_from_all_sides_while_customers_are_merged_and_parted(
    people: Two, sales: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: Body, database: Database, store: Store
) -> None:
    """Every order is there once, with a customer who exists, and with the survivor in the end."""
    ann, bob = people.ann["id"], people.bob["id"]
    names: list[Body] = [{"external_id": "c-1"}, {"external_id": "c-2"}, {"email": "bob@example.com"}, {"id": bob}]
    ended = asyncio.Event()
    pushed: set[str] = set()

    async def send(number: int) -> None:
        count = 0
        while not ended.is_set():
            external_id = f"p-{number}-{count % 6}"
            count += 1
            body = {**order_body, "customer": names[number % len(names)], "note": str(count)}
            body |= {"source_updated_at": now().isoformat(), "number": external_id}
            await push(ingest, body, external_id)
            pushed.add(external_id)
            if count % 3 == 0:
                note = {"customer_id": bob, "kind": "note", "body": external_id}
                good(await sales.post("/api/v1/interactions", json=note), 201)

    async def merge_and_undo() -> Body:
        for _ in range(3):
            made = good(await until_merged(sales, ann, bob))
            await asyncio.sleep(0.1)
            await undo(sales, made["id"])
            await asyncio.sleep(0.05)
            with acting_as(database, Role.ADMIN):
                await settle(store)
        last: Body = good(await until_merged(sales, ann, bob))
        return last

    async def all_of_it() -> Body:
        try:
            return await merge_and_undo()
        finally:
            ended.set()

    merging = asyncio.create_task(all_of_it())
    await asyncio.gather(merging, *(send(number) for number in range(8)))
    with acting_as(database, Role.ADMIN):
        await settle(store)
    await totals_settled(store)
    stored = [row["external_id"] for row in store.root["orders"].find({})]
    assert sorted(stored) == sorted({*pushed, "o-1", "o-2"})
    assert owners(store) == {"orders": {ann}, "order_versions": {ann}, "interactions": {ann}}
    shown = await read(sales, ann)
    assert shown["stats"]["orders_count"] == len(stored)
    assert len(await walk(sales, ORDERS, customer_id=bob)) == len(stored)
    assert store.root["customers"].count_documents({}) == 1
    assert (await merging)["customer"]["former_ids"] == [bob]
    assert store.root["interactions"].count_documents({}) > 3


async def _nothing() -> None:
    """To be held up."""


async def _killed(request: Awaitable[httpx.Response]) -> None:
    with pytest.raises((Killed, BaseExceptionGroup)):
        await request


class dying:  # noqa: N801  reads as a sentence
    """Within the block, whoever moves documents dies after so many batches."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, survives: int) -> None:
        self._monkeypatch = monkeypatch
        self._left = survives
        self._in_batches = batches.in_batches

    def __enter__(self) -> None:
        for module in ("crm.orders.moving", "crm.interactions.service"):
            self._monkeypatch.setattr(f"{module}.in_batches", self._or_die)

    def __exit__(self, *_: object) -> None:
        for module in ("crm.orders.moving", "crm.interactions.service"):
            self._monkeypatch.setattr(f"{module}.in_batches", self._in_batches)

    async def _or_die(self, *arguments: Any) -> int:
        if self._left == 0:
            raise Killed
        self._left -= 1
        return await self._in_batches(*arguments)
