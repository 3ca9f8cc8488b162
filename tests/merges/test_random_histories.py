"""Whatever happens before, between and after merges and their undoing: everything is where a model of it says.

The model knows owners and which merges brought something to them, and nothing of documents. A failure prints
``@reproduce_failure``; ``--hypothesis-seed=N`` repeats a run.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.contracts import contract
from crm.customers import service as customers
from crm.database.driver import Database, acting_as
from crm.identity import Role
from tests.fixtures.answers import good, refused, walk
from tests.fixtures.shop import ORDERS, push
from tests.fixtures.store import KEPT, Store, totals_settled
from tests.merges.people import CUSTOMERS, MERGES, Body, customer, merge_now, read, settle, snapshot, until_merged

pytestmark = pytest.mark.mongo

INTERACTIONS = "/api/v1/interactions"
PEOPLE = range(3)
WHO = st.sampled_from(PEOPLE)
Step = tuple[str, int, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), WHO, st.integers(1, 2)),
        st.tuples(st.just("note"), WHO, st.just(0)),
        st.tuples(st.just("patch"), WHO, st.just(0)),
        st.tuples(st.just("consent"), WHO, st.just(0)),
        st.tuples(st.just("merge"), WHO, WHO),
        st.tuples(st.sampled_from(["merge while a shop pushes", "merge and undo"]), WHO, WHO),
        st.tuples(st.just("undo"), st.integers(0, 3), st.just(0)),
    ),
    min_size=8,
    max_size=20,
)
Kind = Literal["order", "note", "attribute", "external id"]


@dataclass
class Thing:
    """Something that belongs to a customer.

    Attributes:
        owner: Whose it is.
        by: The merges that brought it there.
    """

    owner: str
    by: list[str] = field(default_factory=list)


@dataclass
class Made:
    """A merge, and what two customers were before it."""

    survivor: str
    other: str
    names: tuple[str, str, str]
    words: tuple[list[str], list[str]]
    undone: bool = False


@dataclass
class World:
    """What there should be."""

    leads: dict[str, str] = field(default_factory=dict)
    things: dict[tuple[Kind, str], Thing] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)
    stacks: dict[str, list[str]] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)

    def born(self, customer_id: str, name: str, external_id: str) -> None:
        self.leads[customer_id] = customer_id
        self.names[customer_id] = name
        self.words[customer_id] = []
        self.stacks[customer_id] = []
        self.things["external id", external_id] = Thing(customer_id)

    def current(self, customer_id: str) -> str:
        while self.leads[customer_id] != customer_id:
            customer_id = self.leads[customer_id]
        return customer_id

    def alone(self, customer_id: str) -> bool:
        return self.leads[customer_id] == customer_id

    def put(self, kind: Kind, name: str, owner: str) -> None:
        """Something new, or something that is pushed again: what is with its owner already stays what it is."""
        present = self.things.get((kind, name))
        if present is None or present.owner != owner:
            self.things[kind, name] = Thing(owner)

    def join(self, merge_id: str, this: str, other: str) -> None:
        names = (self.names[this], self.names[other], self.names[this])
        self.made[merge_id] = Made(this, other, names, (self.words[this], self.words[other]))
        self.leads[other] = this
        self.stacks[this].append(merge_id)
        self.words[this] = [*self.words[this], *self.words[other]]
        for thing in self.things.values():
            if thing.owner == other:
                thing.owner, thing.by = this, [*thing.by, merge_id]

    def can_part(self, merge_id: str) -> bool:
        made = self.made[merge_id]
        return self.alone(made.survivor) and self.stacks[made.survivor][-1:] == [merge_id]

    def part(self, merge_id: str) -> None:
        made = self.made[merge_id]
        this, other = made.survivor, made.other
        made.undone = True
        self.stacks[this].pop()
        self.leads[other] = other
        before, before_of_other, merged = made.names
        self.names[this] = before if self.names[this] == merged else self.names[this]
        self.names[other] = before_of_other
        since = self.words[this][sum(map(len, made.words)) :]
        self.words[this], self.words[other] = ([*before_, *since] for before_ in made.words)
        for thing in self.things.values():
            if thing.owner == this and merge_id in thing.by:
                thing.owner, thing.by = other, [one for one in thing.by if one != merge_id]

    def of(self, kind: Kind, owner: str) -> set[str]:
        return {name for (kind_, name), thing in self.things.items() if kind_ == kind and thing.owner == owner}


@dataclass
class Play:
    """Plays a history by the API, and in the model."""

    client: httpx.AsyncClient
    database: Database
    store: Store
    order: Body
    world: World = field(default_factory=World)
    ids: list[str] = field(default_factory=list)
    steps: int = 0

    async def begin(self) -> None:
        for name in (one.name for one in contract().collections):
            if name not in KEPT | {"audit_log"}:
                self.store.root[name].delete_many({})
        for who in PEOPLE:
            name, external_id = f"First{who}", f"c-{who}"
            ids = [{"source": "shop", "id": external_id}]
            made = await customer(self.client, email=f"p{who}@example.com", first_name=name, external_ids=ids)
            self.ids.append(made["id"])
            self.world.born(made["id"], name, external_id)

    async def step(self, what: str, one: int, other: int) -> None:
        self.steps += 1
        if what == "push":
            self.world.put("order", await self.push(one, other), self.world.current(self.ids[one]))
        elif what == "undo":
            await self.undo(one)
        elif what.startswith("merge"):
            await self.merge(what, one, other)
        else:
            await {"note": self.note, "patch": self.patch, "consent": self.consent}[what](self.ids[one])

    async def push(self, who: int, number: int) -> str:
        """A shop calls one customer by different names."""
        ref = [{"external_id": f"c-{who}"}, {"email": f"p{who}@example.com"}, {"id": self.ids[who]}][self.steps % 3]
        await push(self.client, {**self.order, "customer": ref, "note": f"{self.steps}"}, f"o-{number}")
        return f"o-{number}"

    async def note(self, customer_id: str) -> None:
        body = {"customer_id": customer_id, "kind": "note", "body": "hello"}
        made = good(await self.client.post(INTERACTIONS, json=body), 201)
        self.world.put("note", made["id"], self.world.current(customer_id))

    async def patch(self, customer_id: str) -> None:
        current = self.world.current(customer_id)
        name, attribute = f"New{self.steps}", f"a{self.steps}"
        version = (await read(self.client, current))["version"]
        body = {"version": version, "first_name": name, "attributes": {attribute: self.steps}}
        good(await self.client.patch(f"{CUSTOMERS}/{current}", json=body))
        self.world.names[current] = name
        self.world.put("attribute", attribute, current)

    async def consent(self, customer_id: str) -> None:
        current, word = self.world.current(customer_id), f"w{self.steps}"
        body = {"channel": "email", "status": "granted", "at": "2026-01-31T12:00:00Z", "source": word}
        good(await self.client.post(f"{CUSTOMERS}/{current}/consents", json=body), 201)
        self.world.words[current] = [*self.world.words[current], word]

    async def merge(self, what: str, one: int, two: int) -> None:
        this, other = self.ids[one], self.ids[two]
        if this == other or not (self.world.alone(this) and self.world.alone(other)):
            return
        if what == "merge while a shop pushes":
            await self.merge_while_pushed(this, other, two)
            return
        before = await self.settled()
        merge_id = good(await merge_now(self.client, this, other))["id"]
        self.world.join(merge_id, this, other)
        if what == "merge and undo":
            await self.part(merge_id)
            assert await self.settled() == before, "to the byte"

    async def merge_while_pushed(self, this: str, other: str, two: int) -> None:
        """Whichever is first, the order ends with the survivor; only which merge brought it is a matter of luck."""
        before = {name: thing.by for (kind, name), thing in self.world.things.items() if kind == "order"}
        merging = asyncio.create_task(until_merged(self.client, this, other))
        pushed, late = await asyncio.gather(self.push(two, 2), self.push(two, 3))
        merge_id = good(await merging)["id"]
        for name in (pushed, late):
            self.world.put("order", name, other)
        self.world.join(merge_id, this, other)
        await read(self.client, this)  # its totals show the orders: they are with it by now
        for name in (pushed, late):
            row = self.store.root["orders"].find_one({"source": "shop", "external_id": name}) or {}
            assert row["customer_id"] == this
            assert set(row.get("moved_by", ())) <= {merge_id, *before.get(name, ())}
            self.world.things["order", name].by = row.get("moved_by", [])

    async def undo(self, number: int) -> None:
        there = [merge_id for merge_id, made in self.world.made.items() if not made.undone]
        if not there:
            return
        merge_id = there[number % len(there)]
        if self.world.can_part(merge_id):
            await self.part(merge_id)
        else:
            before = await self.settled()
            refused(await self.client.post(f"{MERGES}/{merge_id}/undo"), 409, "conflict")
            assert await self.settled() == before

    async def part(self, merge_id: str) -> None:
        undone = good(await self.client.post(f"{MERGES}/{merge_id}/undo"))
        assert undone["withheld"] == []
        self.world.part(merge_id)
        with acting_as(self.database, Role.ADMIN):
            await settle(self.store)

    async def settled(self) -> dict[str, Any]:
        await totals_settled(self.store)
        found = snapshot(self.store)
        del found["activities"]
        return found

    async def compare(self) -> None:
        """Everything is with whom the model says, and nowhere else."""
        for customer_id in self.ids:
            current = self.world.current(customer_id)
            answer = await self.client.get(f"{CUSTOMERS}/{customer_id}")
            if customer_id != current:
                assert (answer.status_code, answer.headers["location"]) == (308, f"{CUSTOMERS}/{current}")
            else:
                await self.compare_one(good(answer))
            email = f"p{self.ids.index(customer_id)}@example.com"
            assert await walk(self.client, CUSTOMERS, email=email) == [current]
        with acting_as(self.database, Role.ADMIN):
            assert (await customers.compare_consents("", 100)).wrong == []
            assert not (await customers.consents_orphaned("", 1_000)).missing
        assert self.store.root["orders"].count_documents({}) == sum(kind == "order" for kind, _ in self.world.things)

    async def compare_one(self, shown: Body) -> None:
        customer_id, world = shown["id"], self.world
        assert shown["first_name"] == world.names[customer_id]
        assert shown["attributes"].keys() == world.of("attribute", customer_id)
        assert {one["id"] for one in shown["external_ids"]} == world.of("external id", customer_id)
        assert Counter(one["source"] for one in shown["consents"]) == Counter(world.words[customer_id])
        led = {one for one in self.ids if world.current(one) == customer_id} - {customer_id}
        assert set(shown["former_ids"]) == led
        orders = world.of("order", customer_id)
        assert set(await walk(self.client, ORDERS, key="external_id", customer_id=customer_id)) == orders
        assert shown["stats"]["orders_count"] == len(orders)
        assert set(await walk(self.client, INTERACTIONS, customer_id=customer_id)) == world.of("note", customer_id)


@settings(max_examples=15, print_blob=True)
@given(steps=STEPS)
async def test_after_any_history_everything_is_where_it_belongs(
    steps: list[Step], admin: httpx.AsyncClient, order_body: Body, database: Database, store: Store
) -> None:
    play = Play(admin, database, store, order_body)
    await play.begin()
    for step in steps:
        await play.step(*step)
    await play.compare()
    for merge_id in [one for one, made in reversed(play.world.made.items()) if not made.undone]:
        await play.part(merge_id)
    await play.compare()
    assert all(play.world.alone(customer_id) for customer_id in play.ids)
    assert not [row for row in store.root["orders"].find({}) if "moved_by" in row]
    await play.settled()
