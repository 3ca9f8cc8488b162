"""Whose an order is, in which state, and what a customer's orders add up to."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import httpx
import pytest

from crm.customers import service as customers
from crm.database.driver import Database, acting_as
from crm.identity import Role
from crm.orders import projection
from crm.orders.states import MOVES, STATUSES
from tests.fixtures.answers import good, refused
from tests.fixtures.rows import ABSENT, customer_row, plain_order_row, stats_due_row
from tests.fixtures.store import Store, totals_settled

pytestmark = pytest.mark.mongo

Body = dict[str, Any]
ANN = {"external_id": "c-1"}
BOB = {"external_id": "c-2"}
NOTHING: Body = {"orders_count": 0, "first_order_at": None, "last_order_at": None, "last_seen_at": None, "totals": []}


async def push(client: httpx.AsyncClient, body: Body, external_id: str, /, **changes: Any) -> Body:
    answer = await client.put(f"/api/v1/orders/shop/{external_id}", json={**body, **changes})
    assert answer.status_code in {200, 201}, answer.text
    out: Body = answer.json()
    return out


async def patch(client: httpx.AsyncClient, order: Body, **change: Any) -> Body:
    headers = {"If-Match": f'"{order["version"]}"'}
    out: Body = good(await client.patch(f"/api/v1/orders/{order['id']}", json=change, headers=headers))
    assert out["version"] == order["version"] + 1
    return out


async def stats(client: httpx.AsyncClient, customer_id: str) -> Body:
    out: Body = good(await client.get(f"/api/v1/customers/{customer_id}"))["stats"]
    return out


def sums(gross: str, currency: str = "GBP") -> Body:
    nothing = {"GBP": "0.00", "JPY": "0", "KWD": "0.000"}[currency]
    return {"currency": currency, "gross": gross, "refunded": nothing, "net": gross}


def of(amount: str, currency: str) -> Body:
    """The parts of an order that make it cost so much."""
    item = {"sku": "A", "title": "A", "quantity": 1, "unit_price": amount}
    return {"currency": currency, "items": [item], "shipping": "0", "discount": "0", "tax": "0", "total": amount}


async def test_stats_are_there_right_after_the_push(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    for number, day in enumerate((10, 20, 5), start=1):
        order = await push(ingest, order_body, str(number), placed_at=f"2026-01-{day:02}T00:00:00Z")
        assert (await stats(sales, order["customer_id"]))["orders_count"] == number
    assert await stats(sales, order["customer_id"]) == {
        "orders_count": 3,
        "first_order_at": "2026-01-05T00:00:00Z",
        "last_order_at": "2026-01-20T00:00:00Z",
        "last_seen_at": None,
        "totals": [sums("45.57")],
    }


async def test_currencies_are_never_added_to_each_other(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    costs = [("10.10", "GBP"), ("1500", "JPY"), ("0.125", "KWD"), ("5.05", "GBP"), ("500", "JPY"), ("0", "GBP")]
    for number, (amount, currency) in enumerate(costs):
        order = await push(ingest, order_body, str(number), **of(amount, currency))
    found = await stats(sales, order["customer_id"])
    assert found["orders_count"] == 6
    assert found["totals"] == [sums("15.15"), sums("2000", "JPY"), sums("0.125", "KWD")]


async def test_sums_may_be_larger_than_any_amount(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    for number in range(3):
        order = await push(ingest, order_body, str(number), **of("999999999999.99", "GBP"))
    assert (await stats(sales, order["customer_id"]))["totals"] == [sums("2999999999999.97")]


async def test_a_free_order_counts(ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body) -> None:
    order = await push(ingest, order_body, "1", **of("0", "GBP"))
    found = await stats(sales, order["customer_id"])
    assert (found["orders_count"], found["totals"]) == (1, [sums("0.00")])


async def test_cancelled_orders_do_not_count(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    kept = await push(ingest, order_body, "1", placed_at="2026-01-02T00:00:00Z")
    order = await push(ingest, order_body, "2", placed_at="2026-01-03T00:00:00Z")
    never = await push(ingest, order_body, "3", placed_at="2026-01-01T00:00:00Z", status="cancelled")
    assert (await stats(sales, never["customer_id"]))["orders_count"] == 2
    order = await patch(ingest, order, status="cancelled")
    assert await stats(sales, kept["customer_id"]) == {
        **NOTHING,
        "orders_count": 1,
        "first_order_at": "2026-01-02T00:00:00Z",
        "last_order_at": "2026-01-02T00:00:00Z",
        "totals": [sums("15.19")],
    }
    await push(ingest, order_body, "1", placed_at="2026-01-02T00:00:00Z", status="cancelled")
    assert await stats(sales, kept["customer_id"]) == NOTHING
    # A shop that says it is paid after all is believed.
    await push(ingest, order_body, "2", placed_at="2026-01-03T00:00:00Z", note="paid after all")
    assert (await stats(sales, kept["customer_id"]))["orders_count"] == 1


async def test_concurrent_orders_of_one_customer_add_up(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    pushes = [push(ingest, order_body, str(n), **of(f"{n}.01", "GBP")) for n in range(32)]
    orders = await asyncio.gather(*pushes)
    assert len({order["customer_id"] for order in orders}) == 1
    found = await stats(sales, orders[0]["customer_id"])
    assert (found["orders_count"], found["totals"]) == (32, [sums("496.32")])
    cancelled = await asyncio.gather(*[patch(ingest, order, status="cancelled") for order in orders[::2]])
    found = await stats(sales, orders[0]["customer_id"])
    assert (found["orders_count"], found["totals"]) == (16, [sums("256.16")])
    assert len(cancelled) == 16


@pytest.mark.parametrize("older_sum_is_written", ["first", "last"])
async def test_two_processes_that_add_up_at_once(
    older_sum_is_written: str, database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = customers.project_stats, itertools.count()
    older_is_done, newer_has_added_up = asyncio.Event(), asyncio.Event()
    row = customer_row(stats={"orders_count": 0, "totals": [], "revision": 0})
    store.root["customers"].insert_one(row)
    newer: list[asyncio.Task[None]] = []

    def one_more() -> None:
        store.root["orders"].insert_one(plain_order_row("15.19", customer_id=row["_id"]))

    async def staged(found: Any) -> bool:
        if row["_id"] not in found:  # of the API, which is still busy with the test before
            return await write(found)
        call = next(calls)
        if call == 0:  # the older process has added up one order; now the second comes, and another process adds up
            one_more()
            newer.append(asyncio.create_task(projection.refresh([row["_id"], "cus_none"])))
            if older_sum_is_written == "last":
                await newer[0]
            else:
                await newer_has_added_up.wait()
        if call == 1 and older_sum_is_written == "first":
            newer_has_added_up.set()
            await older_is_done.wait()
        try:
            return await write(found)
        finally:
            if call == 0:
                older_is_done.set()

    one_more()
    monkeypatch.setattr(customers, "project_stats", staged)
    with acting_as(database, Role.INGEST):
        await projection.refresh([row["_id"]])
        await newer[0]
    assert next(calls) == 3, "whoever lost added up again"
    stored = store.root["customers"].find_one({"_id": row["_id"]}) or {}
    assert stored["stats"]["orders_count"] == 2
    assert [str(sums["gross"]) for sums in stored["stats"]["totals"]] == ["30.38"]


@pytest.mark.goes_around
@pytest.mark.parametrize(
    "broken", [{"first_name": 5}, {"stats": {"orders_count": 0, "totals": []}}], ids=["refused", "without a revision"]
)
async def test_one_customer_who_breaks_the_contract_does_not_keep_the_others_waiting(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body, store: Store, broken: Body
) -> None:
    nothing = {"orders_count": 0, "totals": [], "revision": 0}
    rows = [customer_row(**{"stats": nothing, **(broken if n == 1 else {})}) for n in range(3)]
    store.root["customers"].insert_many(rows, bypass_document_validation=True)
    orders = [plain_order_row("5.00", customer_id=row["_id"]) for row in rows]
    store.root["orders"].insert_many(orders)
    # Left by a process that is gone, so the service takes it over.
    store.root["stats_due"].insert_one(stats_due_row(customer_ids=[row["_id"] for row in rows], claimed_until=ABSENT))
    await totals_settled(store)
    found = {row["_id"]: row["stats"]["orders_count"] for row in store.root["customers"].find({})}
    assert [found[row["_id"]] for row in rows] == [1, 0 if "first_name" in broken else 1, 1]
    await push(ingest, order_body, "later", customer={"id": rows[0]["_id"]})
    assert (await stats(sales, rows[0]["_id"]))["orders_count"] == 2


async def test_a_walk_in_order_is_attached_moved_and_detached(
    ingest: httpx.AsyncClient, admin: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    walk_in = await push(ingest, order_body, "1", customer=None)
    assert walk_in["customer_id"] is None
    assert store.root["customers"].count_documents({}) == 0
    ann = (await push(ingest, order_body, "2", customer=ANN))["customer_id"]
    bob = (await push(ingest, order_body, "3", customer=BOB))["customer_id"]

    async def counted() -> tuple[int, int]:
        return (await stats(sales, ann))["orders_count"], (await stats(sales, bob))["orders_count"]

    order = await patch(admin, walk_in, customer_id=ann)
    assert (order["customer_id"], await counted()) == (ann, (2, 1))
    order = await patch(admin, order, customer_id=bob)
    assert (order["customer_id"], await counted()) == (bob, (1, 2))
    order = await patch(admin, order, note="Asked for a bag")
    assert (order["customer_id"], order["note"], await counted()) == (bob, "Asked for a bag", (1, 2))
    order = await patch(admin, order, customer_id=None, note=None)
    assert (order["customer_id"], order["note"], await counted()) == (None, None, (1, 1))
    assert (await stats(sales, bob))["totals"] == [sums("15.19")]
    body = {"customer_id": "cus_nobody", "version": order["version"]}
    answer = await admin.patch(f"/api/v1/orders/{order['id']}", json=body)
    refused(answer, 422, "invalid_input", "/customer_id")
    assert good(await sales.get(f"/api/v1/orders/{order['id']}")) == order


async def test_a_push_that_names_another_customer_moves_the_stats(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    first = await push(ingest, order_body, "1", customer=ANN)
    second = await push(ingest, order_body, "1", customer=BOB)
    assert first["customer_id"] != second["customer_id"]
    assert await stats(sales, first["customer_id"]) == NOTHING
    assert (await stats(sales, second["customer_id"]))["totals"] == [sums("15.19")]


async def test_a_push_without_a_customer_keeps_the_one_attached_by_hand(
    ingest: httpx.AsyncClient, admin: httpx.AsyncClient, order_body: Body
) -> None:
    ann = (await push(ingest, order_body, "2", customer=ANN))["customer_id"]
    walk_in = await push(ingest, order_body, "1", customer=None)
    await patch(admin, walk_in, customer_id=ann)
    again = await push(ingest, order_body, "1", customer=None)
    assert (again["result"], again["customer_id"]) == ("unchanged", ann)
    later = await push(ingest, order_body, "1", customer=None, status="fulfilled")
    assert (later["result"], later["customer_id"]) == ("updated", ann)
    assert (await stats(admin, ann))["orders_count"] == 2


@pytest.mark.parametrize("now", STATUSES)
async def test_staff_move_an_order_only_along_its_life(now: str, ingest: httpx.AsyncClient, order_body: Body) -> None:
    for number, then in enumerate(STATUSES):
        order = await push(ingest, order_body, str(number), status=now)
        if then == now or then in MOVES[now]:  # type: ignore[index]
            assert (await patch(ingest, order, status=then))["status"] == then
            continue
        answer = await ingest.patch(f"/api/v1/orders/{order['id']}", json={"status": then, "version": 1})
        refused(answer, 409, "conflict")
        assert good(await ingest.get(f"/api/v1/orders/{order['id']}"))["status"] == now


def test_the_life_of_an_order_is_this() -> None:
    """Said a second time, so that a change of the table is meant."""
    moves = {(now, then) for now, thens in MOVES.items() for then in thens}
    assert moves == {
        ("pending", "paid"), ("pending", "cancelled"), ("paid", "fulfilled"), ("paid", "cancelled"),
        ("paid", "partially_refunded"), ("paid", "refunded"), ("fulfilled", "delivered"),
        ("fulfilled", "partially_refunded"), ("fulfilled", "refunded"), ("delivered", "partially_refunded"),
        ("delivered", "refunded"), ("partially_refunded", "fulfilled"), ("partially_refunded", "delivered"),
        ("partially_refunded", "refunded"),
    }  # fmt: skip


async def test_a_change_says_its_version(ingest: httpx.AsyncClient, order_body: Body) -> None:
    order = await push(ingest, order_body, "1")
    path = f"/api/v1/orders/{order['id']}"
    refused(await ingest.patch(path, json={"note": "x"}), 428, "version_required")
    refused(await ingest.patch(path, json={"note": "x", "version": 2}), 412, "stale_version")
    refused(await ingest.patch(path, json={"note": "x"}, headers={"If-Match": '"2"'}), 412, "stale_version")
    refused(await ingest.patch(path, json={"note": "x"}, headers={"If-Match": "x"}), 400, "unreadable_request")
    refused(await ingest.patch(path, json={"total": "1", "version": 1}), 422, "invalid_input", "/total")
    assert good(await ingest.get(path))["version"] == 1
    answer = await ingest.patch(path, json={"note": "x", "version": 1})
    assert (good(answer)["note"], answer.headers["etag"]) == ("x", '"2"')
    racing = [ingest.patch(path, json={"note": str(n), "version": 2}) for n in range(8)]
    assert sorted(a.status_code for a in await asyncio.gather(*racing)) == [200] + [412] * 7


async def test_a_push_wins_against_a_change_by_hand_only_with_new_content(
    ingest: httpx.AsyncClient, admin: httpx.AsyncClient, order_body: Body
) -> None:
    order = await push(ingest, order_body, "1")
    moved = await patch(admin, order, status="fulfilled", note="by hand")
    again = await push(ingest, order_body, "1")
    assert (again["result"], again["status"], again["version"]) == ("unchanged", "fulfilled", moved["version"])
    changed = await push(ingest, order_body, "1", number="1002")
    assert (changed["result"], changed["status"], changed["note"]) == ("updated", "paid", None)
