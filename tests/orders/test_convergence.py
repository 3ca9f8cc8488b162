"""However pushes and refunds arrive (shuffled, repeated, one by one, at once, in batches), the end is the same.

Two processes receive what a shop sends: one with the background projector and group commit, one without either. The
end is compared with what one sender makes of the same sequence, sent once and in order, and with sums that are
computed here from what was sent alone. A failure prints ``@reproduce_failure``; ``--hypothesis-seed=N`` repeats a run.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar

from crm.contracts import contract
from crm.customers.documents import Stats
from crm.database.driver import Database, acting_as
from crm.database.ids import from_bson
from crm.errors import Conflict, CrmError, NotFound
from crm.identity import Principal, Role
from crm.orders import service
from crm.orders.schemas import OrderPut, RefundIn
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

Row = dict[str, Any]
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DIGITS = {"GBP": 2, "JPY": 0, "KWD": 3}
SHOP = Principal("key_shop", Role.INGEST, "shop", "key")
#: Whoever is named by an e-mail alone now and by an id as well later is one customer; None is a walk-in sale.
NAMINGS: list[Row | None] = [
    {"email": "ann@example.com"},
    {"email": "ANN@example.com", "external_id": "c-1"},
    {"email": "bob@example.com", "external_id": "c-2", "phone": "+44 1632 960123"},
    {"external_id": "c-3"},
    None,
]
NOT_IN_THE_RECORD = ("_id", "version", "customer_id", "created_at", "updated_at", "recorded_at")


@dataclass(frozen=True)
class Push:
    order: str
    body: Row


@dataclass(frozen=True)
class GiveBack:
    order: str
    body: Row


Message = Push | GiveBack


@dataclass(frozen=True)
class Story:
    """What happened in the shop, in order."""

    messages: tuple[Message, ...]

    def last(self) -> dict[str, Row]:
        """Each order as the shop knew it in the end."""
        return {message.order: message.body for message in self.messages if isinstance(message, Push)}

    def given_back(self, order: str) -> list[Row]:
        return [m.body for m in self.messages if isinstance(m, GiveBack) and m.order == order]


def money(minor: int, currency: str) -> str:
    return str(Decimal(minor).scaleb(-DIGITS[currency]))


@st.composite
def stories(draw: st.DrawFn) -> Story:
    messages: list[tuple[int, Message]] = []
    for number in range(draw(st.integers(1, 4))):
        order = f"o-{number}"
        pushes = draw(versions(order, draw(st.sampled_from(sorted(DIGITS)))))
        messages += [(when, push) for when, push in enumerate(pushes)]
        messages += [(draw(st.integers(0, 5)), refund) for refund in draw(refunds(order, pushes))]
    return Story(tuple(message for _, message in sorted(messages, key=lambda pair: pair[0])))


@st.composite
def versions(draw: st.DrawFn, order: str, currency: str) -> list[Push]:
    """An order as it was first pushed, and its edits; only the last can be none that nothing was paid of."""
    naming = draw(st.sampled_from(NAMINGS))
    count = draw(st.integers(1, 4))
    pushes = []
    for number in range(count):
        last = number == count - 1
        said = ["paid", "fulfilled", "delivered", "cancelled", "refunded", "partially_refunded"]
        quantity, price, shipping = draw(st.integers(2, 4)), draw(st.integers(100, 999)), draw(st.integers(0, 50))
        item = {"sku": "A", "title": "A", "quantity": quantity, "unit_price": money(price, currency)}
        more = {"sku": f"B{number}", "title": "B", "quantity": 1, "unit_price": money(number, currency)}
        body = {
            "customer": naming,
            "currency": currency,
            "placed_at": (BEGIN + timedelta(days=draw(st.integers(0, 20)))).isoformat(),
            "status": draw(st.sampled_from(said if last else [*said, "pending"])),
            "test": draw(st.sampled_from([False, False, False, True])),
            "items": [item, more],
            "shipping": money(shipping, currency),
            "total": money(quantity * price + number + shipping, currency),
            "source_updated_at": (BEGIN + timedelta(hours=number)).isoformat(),
        }
        pushes.append(Push(order, body))
    return pushes


@st.composite
def refunds(draw: st.DrawFn, order: str, pushes: Sequence[Push]) -> list[GiveBack]:
    """Never more than any version would allow: a shop does not give back what it never took."""
    currency = pushes[0].body["currency"]
    left = min(int(Decimal(push.body["total"]).scaleb(DIGITS[currency])) for push in pushes)
    made: list[GiveBack] = []
    for number in range(draw(st.integers(0, 3))):
        whole = draw(st.sampled_from([False, False, True]))
        minor = left if whole else draw(st.integers(1, 60))
        if not 0 < minor <= left:
            break
        left -= minor
        body: Row = {"id": f"r-{number}", "at": BEGIN.isoformat(), "reason": "Broken"}
        if minor <= 60 and number < 2 and draw(st.booleans()):
            # At most two pieces, and 120 of at least 200: no version has less of A.
            body["lines"] = [{"sku": "A", "quantity": 1, "amount": money(minor, currency)}]
        else:
            body["amount"] = money(minor, currency)
        made.append(GiveBack(order, body))
    return made


@dataclass(frozen=True)
class Delivery:
    """One way to send it: what goes together, how, and to which process."""

    steps: tuple[tuple[str, int, tuple[Message, ...]], ...]


@st.composite
def deliveries(draw: st.DrawFn, story: Story) -> Delivery:
    repeated = draw(st.lists(st.sampled_from(story.messages), max_size=6))
    rest = draw(st.permutations([*story.messages, *repeated]))
    steps = []
    while rest:
        size = draw(st.integers(1, len(rest)))
        steps.append(
            (draw(st.sampled_from(["one by one", "at once", "batch"])), draw(st.integers(0, 1)), tuple(rest[:size]))
        )
        rest = rest[size:]
    return Delivery(tuple(steps))


@st.composite
def told(draw: st.DrawFn) -> tuple[Story, Delivery]:
    story = draw(stories())
    return story, draw(deliveries(story))


@dataclass
class Sender:
    """A shop that sends again what was refused because its order had not arrived yet, or not been paid."""

    processes: Sequence[Database]
    postponed: list[GiveBack] = field(default_factory=list)

    async def send(self, process: int, message: Message) -> None:
        with acting_as(self.processes[process], Role.INGEST):
            if isinstance(message, Push):
                await service.put(SHOP, "shop", message.order, OrderPut.model_validate_json(json.dumps(message.body)))
                return
            try:
                await service.refund_external(
                    SHOP, "shop", message.order, RefundIn.model_validate_json(json.dumps(message.body))
                )
            except (NotFound, Conflict):
                self.postponed.append(message)

    async def send_batch(self, process: int, messages: Sequence[Message]) -> None:
        pushes = [
            service.Push("shop", message.order, OrderPut.model_validate_json(json.dumps(message.body)))
            for message in messages
            if isinstance(message, Push)
        ]
        with acting_as(self.processes[process], Role.INGEST):
            answers = await service.put_many(SHOP, pushes)
        assert not [answer for answer in answers if isinstance(answer, CrmError)]
        await self.send_all(process, [message for message in messages if isinstance(message, GiveBack)])

    async def send_all(self, process: int, messages: Sequence[Message]) -> None:
        for message in messages:
            await self.send(process, message)

    async def send_at_once(self, process: int, messages: Sequence[Message]) -> None:
        # Every second one to the other process.
        await asyncio.gather(*[self.send((process + n) % 2, message) for n, message in enumerate(messages)])

    async def deliver(self, delivery: Delivery) -> None:
        ways: dict[str, Callable[[int, Sequence[Message]], Coroutine[Any, Any, None]]] = {
            "one by one": self.send_all,
            "at once": self.send_at_once,
            "batch": self.send_batch,
        }
        for way, process, messages in delivery.steps:
            again, self.postponed = self.postponed, []
            await ways[way](process, messages)
            await self.send_all(process, again)
        again, self.postponed = self.postponed, []
        await self.send_all(0, again)
        assert not self.postponed, "by now everything has arrived"


@pytest_asyncio.fixture
async def processes(app: Litestar, database: Database, store: Store) -> AsyncIterator[list[Database]]:
    """Two connections, as two processes have them."""
    other = Database.connect(store.settings, views=contract().views())
    other.group_commit = False
    yield [database, other]
    await other.close()


async def outcome(store: Store, database: Database) -> tuple[list[Row], dict[str, Row]]:
    """What is stored in the end: the orders without ids, times and versions, and the customers' totals by name."""
    people = {row["_id"]: row for row in store.root["customers"].find({})}
    with acting_as(database, Role.INGEST):
        for customer_id in people:
            await service.settled(customer_id)
    names = {customer_id: row.get("email_key") or row["external_ids"][0]["id"] for customer_id, row in people.items()}
    assert len(set(names.values())) == len(people), "somebody is there twice"
    orders = []
    for row in store.root["orders"].find({}).sort("external_id", 1):
        kept = {name: value for name, value in row.items() if name not in NOT_IN_THE_RECORD}
        kept["refunds"] = sorted(row.get("refunds", []), key=lambda refund: str(refund["id"]))
        orders.append({**kept, "customer": names.get(row.get("customer_id"))})
    stats = {
        names[row["_id"]]: Stats.model_validate(row["stats"]).model_dump(exclude={"revision"})
        for row in store.root["customers"].find({})
    }
    return orders, stats


def expected_status(said: str, refunded: Decimal, total: Decimal) -> str:
    if not refunded or said in {"cancelled", "refunded"}:
        return said
    return "refunded" if refunded == total else "partially_refunded"


def expected_stats(story: Story) -> dict[str, Row]:
    """The totals, from what was sent alone."""
    found: dict[str, Row] = {}
    for order, body in story.last().items():
        if body["customer"] is None:
            continue
        name = (body["customer"].get("email") or body["customer"]["external_id"]).lower()
        stats = found.setdefault(name, {"orders": 0, "days": [], "totals": {}})
        if body["test"] or body["status"] == "cancelled":
            continue
        refunded, total = refunded_of(story, order), Decimal(body["total"])
        back = total if expected_status(body["status"], refunded, total) == "refunded" else refunded
        stats["orders"] += 1
        stats["days"].append(datetime.fromisoformat(body["placed_at"]))
        gross, given = stats["totals"].get(body["currency"], (0, 0))
        stats["totals"][body["currency"]] = (gross + total, given + back)
    return found


def refunded_of(story: Story, order: str) -> Decimal:
    bodies = story.given_back(order)
    return sum((Decimal(b["amount"] if "amount" in b else b["lines"][0]["amount"]) for b in bodies), Decimal(0))


def agree(story: Story, orders: list[Row], stats: dict[str, Row]) -> None:
    """What is stored is what was sent."""
    last = story.last()
    assert [row["external_id"] for row in orders] == sorted(last)
    for row in orders:
        body, refunded = last[row["external_id"]], refunded_of(story, row["external_id"])
        assert row["status"] == expected_status(body["status"], refunded, Decimal(body["total"]))
        assert row.get("source_status", row["status"]) == body["status"]
        assert from_bson(row["total"]) == Decimal(body["total"])
        assert from_bson(row.get("refunded", Decimal(0))) == refunded
        assert [r["id"] for r in row["refunds"]] == sorted(b["id"] for b in story.given_back(row["external_id"]))
    expected = expected_stats(story)
    assert stats.keys() == expected.keys()
    for name, sums in expected.items():
        found = stats[name]
        assert found["orders_count"] == sums["orders"]
        assert (found["first_order_at"], found["last_order_at"]) == (
            min(sums["days"], default=None),
            max(sums["days"], default=None),
        )
        assert {t["currency"]: (t["gross"], t["refunded"]) for t in found["totals"]} == sums["totals"]
        assert all(t["net"] == t["gross"] - t["refunded"] for t in found["totals"])


@settings(max_examples=60, print_blob=True)
@given(told=told())
async def test_any_delivery_ends_in_the_same_database(
    told: tuple[Story, Delivery], processes: list[Database], store: Store
) -> None:
    story, delivery = told
    ends = []
    for way in (Delivery(tuple(("one by one", 0, (message,)) for message in story.messages)), delivery):
        store.empty()
        await Sender(processes).deliver(way)
        ends.append(await outcome(store, processes[0]))
        agree(story, *ends[-1])
    assert ends[0] == ends[1]
