"""What becomes of deliveries: orders in the order of the source's dates, dead letters, privacy, crashes in between."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar

from crm.app import create_app
from crm.clock import now
from crm.connectors.shopify import mapping as shopify_mapping
from crm.connectors.woocommerce import mapping as woo_mapping
from crm.database.driver import Database, acting_as
from crm.errors import Unavailable
from crm.identity import Role
from crm.inbox import service as inbox
from crm.inbox.schemas import Work
from crm.inbox.worker import Worker
from tests.connectors.conftest import Sweep, inbox_of
from tests.connectors.fixtures import (
    SHOP,
    Sender,
    later,
    shopify_line,
    shopify_order,
    shopify_product,
    shopify_refund,
    woo_billing,
    woo_line,
    woo_order,
    woo_product,
)
from tests.fixtures.answers import good, refused
from tests.fixtures.api import client_of, running
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
UPDATED = "2026-01-31T12:05:00+01:00"


def outcomes(store: Store) -> list[str]:
    return sorted(row.get("outcome") or row["state"] for row in inbox_of(store))


def put_forward(store: Store) -> None:
    """As if a quarter of an hour had gone by."""
    for row in inbox_of(store):
        if "due_at" in row:
            due = row["due_at"] - timedelta(minutes=15)
            store.root["inbox"].update_one({"_id": row["_id"]}, {"$set": {"due_at": due}})


async def test_an_order_of_shopifys(shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store) -> None:
    good(await shopify.shopify("orders/create", shopify_order()))
    assert await sweep() == 1
    order = good(await shop.get("/api/v1/orders/my-shopify/5001"))
    assert (order["total"], order["tax"], order["shipping"], order["number"]) == ("13.79", "0.00", "2.99", "1001")
    assert order["items"] == [
        {"sku": "MUG", "title": "Mug - Blue", "quantity": 2, "unit_price": "4.50", "discount": "0.00", "tax": "1.80",
         "total": "10.80"},
    ]  # fmt: skip
    assert (order["status"], order["placed_at"]) == ("paid", "2026-01-31T10:59:00Z")
    assert order["source_updated_at"] == "2026-01-31T11:05:00Z"
    assert order["shipping_address"]["line1"] == "1 High Street"
    customer = good(await shop.get(f"/api/v1/customers/{order['customer_id']}"))
    assert customer["external_ids"] == [{"source": "my-shopify", "id": "207119551"}]
    assert (customer["email"], customer["last_name"]) == ("ann@example.com", "Example")
    (row,) = inbox_of(store)
    assert (row["state"], row["outcome"], "due_at" in row) == ("done", "applied", False)
    assert timedelta(days=6) < row["expires_at"] - now() < timedelta(days=8)


async def test_an_order_of_woos(woo: Sender, shop: httpx.AsyncClient, sweep: Sweep) -> None:
    good(await woo.woo("order.created", woo_order()))
    await sweep()
    order = good(await shop.get("/api/v1/orders/my-woocommerce/727"))
    assert (order["total"], order["tax"], order["shipping"]) == ("14.40", "0.60", "3.00")
    assert (order["placed_at"], order["status"]) == ("2026-01-31T12:00:00Z", "paid")
    customer = good(await shop.get(f"/api/v1/customers/{order['customer_id']}"))
    assert customer["external_ids"] == [{"source": "my-woocommerce", "id": "25"}]


async def test_deliveries_out_of_order_end_in_the_latest_state(
    shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    statuses = ["pending", "pending", "paid", "paid", "partially_refunded"]
    states = [
        shopify_order(updated_at=later(UPDATED, n), financial_status=status, note=f"state {n}")
        for n, status in enumerate(statuses)
    ]
    for seed in range(5):
        shuffled = random.Random(seed).sample(states, len(states))
        for n, state in enumerate(shuffled):
            topic = "orders/create" if state is states[0] else "orders/updated"
            good(await shopify.shopify(topic, state, f"{seed}-{n}"))
            if random.Random(seed + n).random() < 0.5:
                await sweep()
        await sweep()
        order = good(await shop.get("/api/v1/orders/my-shopify/5001"))
        assert (order["note"], order["status"]) == ("state 4", "partially_refunded")
        assert set(outcomes(store)) <= {"applied", "superseded"}
        for name in ("orders", "inbox", "customers"):
            store.root[name].delete_many({})


async def test_what_waits_together_goes_in_the_sources_order(
    shopify: Sender, database: Database, sweep: Sweep, store: Store
) -> None:
    for n in (2, 0, 1):
        good(await shopify.shopify("orders/updated", shopify_order(updated_at=later(UPDATED, n)), str(n)))
    with acting_as(database, Role.INGEST):
        due = await inbox.due(10)
    ids = {row["_id"]: row["webhook_id"] for row in inbox_of(store)}
    assert [ids[one] for one in due] == ["0", "1", "2"]
    await sweep()
    assert outcomes(store) == ["applied"] * 3


async def test_an_older_product_does_not_replace_a_newer_one(
    shopify: Sender, woo: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    for n, title in ((5, "New mug"), (1, "Old mug")):
        good(
            await shopify.shopify("products/update", shopify_product(title=title, updated_at=later(UPDATED, n)), title)
        )
        await sweep()
    assert good(await shop.get("/api/v1/products/MUG"))["title"] == "New mug - Blue"
    assert good(await shop.get("/api/v1/products/variant:78"))["price"] == {"amount": "4.75", "currency": "GBP"}
    assert outcomes(store) == ["applied", "superseded"]
    good(await woo.woo("product.updated", woo_product(name="Woo mug")))
    await sweep()
    assert good(await shop.get("/api/v1/products/MUG"))["title"] == "Woo mug"


async def test_a_shop_without_a_currency_leaves_the_price_alone(
    shop: httpx.AsyncClient, shopify: Sender, connection: dict[str, Any], sweep: Sweep
) -> None:
    product = {"title": "Mug", "price": {"amount": "9.99", "currency": "EUR"}, "attributes": {"shelf": "B2"}}
    good(await shop.put("/api/v1/products/MUG", json=product), 201)
    url = f"/api/v1/connections/{connection['id']}"
    good(await shop.patch(url, json={"currency": None, "version": 1}))
    good(await shopify.shopify("products/update", shopify_product()))
    await sweep()
    found = good(await shop.get("/api/v1/products/MUG"))
    assert (found["title"], found["price"], found["attributes"]) == ("Mug - Blue", product["price"], {"shelf": "B2"})


async def test_customers_are_found_by_id_then_email_and_only_completed(
    shopify: Sender, woo: Sender, shop: httpx.AsyncClient, sweep: Sweep
) -> None:
    known = good(await shop.post("/api/v1/customers", json={"email": "ANN@example.com", "first_name": "Anna"}), 201)
    person = {"id": 5, "email": "ann@example.com", "first_name": "Ann", "last_name": "Example", "updated_at": UPDATED}
    good(await shopify.shopify("customers/update", person))
    good(await woo.woo("customer.created", {"id": 9, "email": "ann@example.com", "billing": woo_billing()}))
    good(await woo.woo("order.created", woo_order(customer_id=0, billing=woo_billing(email="Ann@Example.com"))))
    await sweep()
    found = good(await shop.get(f"/api/v1/customers/{known['id']}"))
    assert (found["first_name"], found["last_name"]) == ("Anna", "Example")
    ids = {(one["source"], one["id"]) for one in found["external_ids"]}
    assert ids == {("my-shopify", "5"), ("my-woocommerce", "9")}
    assert good(await shop.get("/api/v1/orders/my-woocommerce/727"))["customer_id"] == known["id"]


async def test_refunds_of_shopifys_come_by_themselves_or_with_the_order(
    shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    # Before its order, and before the news that it was paid.
    good(await shopify.shopify("refunds/create", shopify_refund(), "refund"))
    await sweep()
    assert outcomes(store) == ["waiting"]
    good(await shopify.shopify("orders/create", shopify_order(financial_status="pending"), "order"))
    put_forward(store)
    await sweep()
    assert outcomes(store) == ["applied", "waiting"]
    paid = shopify_order(fulfillment_status="fulfilled", updated_at=later(UPDATED, 1))
    good(await shopify.shopify("orders/paid", paid, "paid"))
    await sweep()
    put_forward(store)
    await sweep()
    # And once more, inside the order.
    again = shopify_order(
        updated_at=later(UPDATED, 2), financial_status="partially_refunded", refunds=[shopify_refund()]
    )
    good(await shopify.shopify("orders/updated", again, "again"))
    await sweep()
    assert outcomes(store) == ["applied"] * 4
    order = good(await shop.get("/api/v1/orders/my-shopify/5001"))
    assert (order["status"], order["refunded"]) == ("partially_refunded", "5.40")
    (refund,) = order["refunds"]
    assert (refund["id"], refund["at"], refund["reason"]) == ("9001", "2026-02-01T09:00:00Z", "Broken")
    assert refund["lines"] == [{"sku": "MUG", "quantity": 1, "amount": "5.40"}]


async def test_a_refund_whose_lines_our_order_does_not_have_is_an_amount(
    shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    refund = shopify_refund()
    refund["refund_line_items"][0]["line_item"]["sku"] = "RENAMED"
    for n in (1, 2):  # the same a second time, as after a crash
        good(await shopify.shopify("orders/updated", shopify_order(refunds=[refund]), str(n)))
        await sweep()
    assert outcomes(store) == ["applied"] * 2
    (kept,) = good(await shop.get("/api/v1/orders/my-shopify/5001"))["refunds"]
    assert (kept["amount"], kept["lines"]) == ("5.40", [])


async def test_refunds_of_woos_come_inside_the_order(woo: Sender, shop: httpx.AsyncClient, sweep: Sweep) -> None:
    order = woo_order(status="completed", refunds=[{"id": 31, "reason": "Broken", "total": "-5.00"}])
    good(await woo.woo("order.updated", order))
    good(await woo.woo("order.updated", {**order, "date_modified_gmt": "2026-01-31T12:06:00"}))
    await sweep()
    found = good(await shop.get("/api/v1/orders/my-woocommerce/727"))
    assert (found["status"], found["refunded"], len(found["refunds"])) == ("partially_refunded", "5.00", 1)
    everything = [{"id": 31, "reason": "Broken", "total": "-5.00"}, {"id": 32, "reason": "", "total": "-9.40"}]
    last = woo_order(status="refunded", refunds=everything, date_modified_gmt="2026-01-31T12:07:00")
    good(await woo.woo("order.updated", last))
    await sweep()
    found = good(await shop.get("/api/v1/orders/my-woocommerce/727"))
    assert (found["status"], found["refunded"]) == ("refunded", "14.40")


async def test_more_than_was_paid_is_a_dead_letter(shopify: Sender, sweep: Sweep, store: Store) -> None:
    paid = [{"kind": "refund", "status": "success", "amount": "99.00", "currency": "GBP"}]
    good(await shopify.shopify("orders/create", shopify_order(), "1"))
    good(await shopify.shopify("refunds/create", shopify_refund(transactions=paid), "2"))
    await sweep()
    assert {row["webhook_id"]: row.get("reason") for row in inbox_of(store)} == {"1": None, "2": "conflict"}


async def test_a_test_order_says_so(shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep) -> None:
    good(await shopify.shopify("orders/create", shopify_order(test=True)))
    await sweep()
    assert good(await shop.get("/api/v1/orders/my-shopify/5001"))["test"] is True


@pytest.mark.parametrize("kind", ["shopify", "woo"])
async def test_a_deleted_order_is_cancelled_if_it_was_not_sent(
    kind: str, shopify: Sender, woo: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    if kind == "shopify":
        source = "my-shopify"
        for number, fulfilled in ((1, None), (2, "fulfilled")):
            good(
                await shopify.shopify(
                    "orders/create", shopify_order(id=number, fulfillment_status=fulfilled), f"a{number}"
                )
            )
        await sweep()
        for number in (1, 2, 3):
            good(
                await shopify.shopify(
                    "orders/delete", {"id": number}, f"b{number}", X_Shopify_Triggered_At="2026-02-01T00:00:00Z"
                )
            )
        await sweep()
        # What was said before the deletion arrives after it.
        good(await shopify.shopify("orders/updated", shopify_order(id=1, updated_at=later(UPDATED, 9)), "c"))
        good(await shopify.shopify("orders/updated", shopify_order(id=3, updated_at=later(UPDATED, 9)), "d"))
    else:
        source = "my-woocommerce"
        for number, status in ((1, "processing"), (2, "completed")):
            good(await woo.woo("order.created", woo_order(id=number, status=status)))
        await sweep()
        for number in (1, 2, 3):
            good(await woo.woo("order.deleted", {"id": number}))
        await sweep()
        late = "2026-01-31T12:30:00"
        good(await woo.woo("order.updated", woo_order(id=1, date_modified_gmt=late)))
        good(await woo.woo("order.updated", woo_order(id=3, date_modified_gmt=late)))
    await sweep()
    assert good(await shop.get(f"/api/v1/orders/{source}/1"))["status"] == "cancelled"
    assert good(await shop.get(f"/api/v1/orders/{source}/2"))["status"] == "fulfilled"
    refused(await shop.get(f"/api/v1/orders/{source}/3"), 404, "not_found")
    if kind == "woo":
        good(await woo.woo("order.restored", woo_order(id=1, date_modified_gmt="2026-02-02T00:00:00")))
        await sweep()
        assert good(await shop.get(f"/api/v1/orders/{source}/1"))["status"] == "paid"
    assert "dead" not in outcomes(store)


@pytest.mark.parametrize(
    "topic",
    ["orders/edited", "checkouts/create", "carts/update", "customers/delete", "products/delete", "no/such", "x" * 300],
)
async def test_topics_that_we_have_no_use_for_are_taken_and_ignored(
    topic: str, shopify: Sender, sweep: Sweep, store: Store
) -> None:
    good(await shopify.shopify(topic, {"id": 1}))
    await sweep()
    assert outcomes(store) == ["ignored"]


@pytest.mark.parametrize("topic", ["coupon.created", "action.woocommerce_add_to_cart", "order.", "product.deleted"])
async def test_topics_of_woo_that_we_have_no_use_for(topic: str, woo: Sender, sweep: Sweep, store: Store) -> None:
    good(await woo.woo(topic, {"action": "x", "arg": 5}))
    await sweep()
    assert outcomes(store) == ["ignored"]


async def test_a_draft_is_no_order(woo: Sender, sweep: Sweep, store: Store) -> None:
    good(await woo.woo("order.created", woo_order(status="checkout-draft")))
    await sweep()
    assert (outcomes(store), store.root["orders"].count_documents({})) == (["ignored"], 0)


async def test_dead_letters_say_why_and_are_replayed(
    shopify: Sender, shop: httpx.AsyncClient, connection: dict[str, Any], sweep: Sweep, worker: Worker, store: Store
) -> None:
    good(await shopify.shopify("orders/create", shopify_order(financial_status="bartered"), "1"))
    broken = shopify_order(id=5002, total_price="99.00", current_total_price="99.00")
    good(await shopify.shopify("orders/create", broken, "2"))
    await sweep()
    listed = good(await shop.get("/api/v1/inbox", params={"state": "dead", "connection_id": connection["id"]}))["items"]
    assert {one["reason"] for one in listed} == {"unknown_status", "does_not_add_up"}
    assert all("body" not in one and one["attempts"] == 1 and one["outcome"] is None for one in listed)
    assert "/financial_status This value is not known." in next(d["detail"] for d in listed if d["webhook_id"] == "1")
    one = next(d for d in listed if d["webhook_id"] == "1")
    answer = await shop.get(f"/api/v1/inbox/{one['id']}")
    full = good(answer)
    assert answer.headers["etag"] == (await shop.get(f"/api/v1/inbox/{one['id']}")).headers["etag"]
    assert full["body_encoding"] == "utf-8"
    assert "bartered" in full["body"]

    # Replayed as it is, it dies again; once the mapping knows the word (here: the word is mended), it is an order.
    assert good(await shop.post(f"/api/v1/inbox/{one['id']}/replay"))["state"] == "waiting"
    refused(await shop.post(f"/api/v1/inbox/{one['id']}/replay"), 409, "conflict")
    await sweep()
    assert good(await shop.get(f"/api/v1/inbox/{one['id']}"))["state"] == "dead"
    mended = store.root["inbox"].find_one({"_id": one["id"]})
    assert mended is not None
    body = mended["body"].replace(b"bartered", b"paid")
    store.root["inbox"].update_one({"_id": one["id"]}, {"$set": {"body": body}})
    assert good(await shop.post("/api/v1/inbox/replay", json={"connection_id": connection["id"]})) == {"replayed": 2}
    await sweep()
    assert good(await shop.get("/api/v1/orders/my-shopify/5001"))["status"] == "paid"
    (left,) = good(await shop.get("/api/v1/inbox", params={"state": "dead"}))["items"]
    assert left["reason"] == "does_not_add_up"
    assert (await shop.delete(f"/api/v1/inbox/{left['id']}")).status_code == 204
    refused(await shop.delete(f"/api/v1/inbox/{left['id']}"), 404, "not_found")
    refused(await shop.delete(f"/api/v1/inbox/{one['id']}"), 409, "conflict")


async def test_a_later_state_settles_the_dead_ones_before_it(shopify: Sender, sweep: Sweep, store: Store) -> None:
    for n, status in ((0, "bartered"), (2, "bartered"), (1, "paid")):
        state = shopify_order(updated_at=later(UPDATED, n), financial_status=status)
        good(await shopify.shopify("orders/updated", state, str(n)))
        await sweep()
    found = {row["webhook_id"]: row.get("outcome") or row["state"] for row in inbox_of(store)}
    assert found == {"0": "superseded", "1": "applied", "2": "dead"}


async def test_privacy_requests_are_queued_once_with_all_that_is_needed(
    shopify: Sender, shop: httpx.AsyncClient, connection: dict[str, Any], sweep: Sweep, store: Store
) -> None:
    ids = {"shop_id": 954889, "shop_domain": SHOP}
    person = {"id": 207119551, "email": "Ann@Example.com", "phone": "555"}
    bodies = {
        "customers/data_request": {**ids, "customer": person, "orders_requested": [1, 2], "data_request": {"id": 9999}},
        "customers/redact": {**ids, "customer": person, "orders_to_redact": [5001]},
        "shop/redact": {"shop_id": 954889, "shop_domain": SHOP},
    }
    for topic, body in bodies.items():
        good(await shopify.shopify(topic, body, topic))
    await sweep()
    # Carried out a second time, as after a crash.
    store.root["inbox"].update_many(
        {"state": "done"},
        {"$set": {"state": "waiting", "due_at": now()}, "$unset": {"outcome": "", "expires_at": ""}},
        hint="by_state",
    )
    await sweep()
    found = good(await shop.get("/api/v1/privacy-requests"))["items"]
    assert len(found) == 3
    by_kind = {one["kind"]: one for one in found}
    assert by_kind["data_request"]["request_id"] == "9999"
    assert by_kind["data_request"]["orders"] == ["1", "2"]
    redact = by_kind["redact_customer"]
    named = [redact[name] for name in ("external_customer_id", "email", "phone", "orders")]
    assert named == ["207119551", "ann@example.com", "555", ["5001"]]
    assert by_kind["redact_shop"]["source"] == connection["source"]
    assert all(one["state"] == "queued" and one["due_at"] > one["received_at"] for one in found)


async def test_removing_the_app_disables_the_connection(
    shopify: Sender, shop: httpx.AsyncClient, connection: dict[str, Any], sweep: Sweep
) -> None:
    good(await shopify.shopify("app/uninstalled", {"id": 1, "myshopify_domain": SHOP}))
    await sweep()
    assert good(await shop.get(f"/api/v1/connections/{connection['id']}"))["disabled_at"]
    refused(await shopify.shopify("orders/create", shopify_order(), "2"), 404, "not_found")
    good(await shopify.shopify("customers/redact", {"customer": {"id": 1}}, "3"))


async def test_a_claim_whose_holder_died_is_taken_over(
    shopify: Sender, database: Database, sweep: Sweep, store: Store, shop: httpx.AsyncClient
) -> None:
    good(await shopify.shopify("orders/create", shopify_order()))
    with acting_as(database, Role.INGEST):
        (delivery_id,) = await inbox.due(10)
        dead_mans = await inbox.claim(delivery_id)
        assert dead_mans is not None
        assert await inbox.claim(delivery_id) is None, "claimed already"
        assert await sweep() == 0
        put_forward(store)
        assert await sweep() == 1
        # He was only slow: what he says of it now no longer counts.
        await inbox.bury(dead_mans, "gave_up", "Too late.")
        await inbox.put_off(dead_mans, timedelta(0))
    assert outcomes(store) == ["applied"]
    assert good(await shop.get("/api/v1/orders/my-shopify/5001"))["version"] == 1


async def test_one_state_of_a_resource_is_carried_out_at_a_time(
    shopify: Sender, database: Database, store: Store
) -> None:
    for n in (0, 1):
        good(await shopify.shopify("orders/updated", shopify_order(updated_at=later(UPDATED, n)), str(n)))
    good(await shopify.shopify("orders/updated", shopify_order(id=6), "other"))
    with acting_as(database, Role.INGEST):
        first, second, other = sorted(
            await inbox.due(10), key=lambda one: next(r["webhook_id"] for r in inbox_of(store) if r["_id"] == one)
        )
        claimed = await inbox.claim(first)
        assert claimed is not None
        assert await inbox.claim(second) is None
        assert await inbox.claim(other) is not None
        await inbox.settle(claimed, "applied")
        put_forward(store)
        assert await inbox.claim(second) is not None


async def test_what_may_pass_is_tried_again_and_in_the_end_given_up(
    shopify: Sender, database: Database, still: Litestar, store: Store
) -> None:
    good(await shopify.shopify("orders/create", shopify_order()))
    tries: list[int] = []

    async def unavailable(work: Work) -> Any:
        tries.append(work.attempt)
        raise Unavailable("Not now.")

    waits = []
    with acting_as(database, Role.INGEST):
        worker = Worker(database, unavailable)
        while outcomes(store) != ["dead"]:
            assert await worker.sweep() == 1
            assert await worker.sweep() == 0, "it waits"
            (row,) = inbox_of(store)
            if row["state"] == "waiting":
                waits.append(round((row["due_at"] - now()).total_seconds()))
            put_forward(store)
    assert tries == list(range(1, 13))
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert inbox_of(store)[0]["reason"] == "unavailable"


async def test_a_fault_of_ours_stops_nothing_behind_it(shopify: Sender, database: Database, store: Store) -> None:
    for n in (1, 2):
        good(await shopify.shopify("orders/create", shopify_order(id=n, updated_at=later(UPDATED, n)), str(n)))

    async def faulty(work: Work) -> Any:
        if work.resource == "order/1":
            raise ZeroDivisionError("with ann@example.com in it")
        return "applied"

    with acting_as(database, Role.INGEST):
        await Worker(database, faulty).sweep()
    found = {row["resource"]: row.get("outcome") or (row["reason"], row["detail"]) for row in inbox_of(store)}
    assert found == {
        "order/1": ("internal_error", "This is a fault of the service; its log says where."),
        "order/2": "applied",
    }


async def test_a_delivery_that_ends_the_process_each_time_is_given_up(
    shopify: Sender, database: Database, store: Store
) -> None:
    good(await shopify.shopify("orders/create", shopify_order()))

    async def never(work: Work) -> Any:
        raise AssertionError("it must not be tried again")

    with acting_as(database, Role.INGEST):
        for _ in range(12):
            (delivery_id,) = await inbox.due(1)
            assert await inbox.claim(delivery_id)
            put_forward(store)
        await Worker(database, never).sweep()
    assert inbox_of(store)[0]["reason"] == "gave_up"


async def test_two_workers_carry_each_delivery_out_once(shopify: Sender, database: Database, store: Store) -> None:
    for n in range(30):
        good(await shopify.shopify("orders/create", shopify_order(id=n + 1), str(n)))
    seen: list[str] = []

    async def slow(work: Work) -> Any:
        seen.append(work.id)
        await asyncio.sleep(0)
        return "applied"

    with acting_as(database, Role.INGEST):
        workers = [Worker(database, slow) for _ in range(2)]
        await asyncio.gather(*(worker.sweep() for worker in workers))
    assert len(seen) == len(set(seen)) == 30
    assert outcomes(store) == ["applied"] * 30


async def test_a_running_app_carries_out_at_once_and_ends_cleanly(
    store: Store, database: Database, connection: dict[str, Any], shop: httpx.AsyncClient
) -> None:
    async with running(create_app(store.settings, database=database)) as app, client_of(app) as client:
        begun = time.monotonic()
        good(await Sender(client, connection["name"]).shopify("orders/create", shopify_order()))
        answered = time.monotonic() - begun
        async with asyncio.timeout(10):
            status = 0
            while status != 200:
                await asyncio.sleep(0.01)
                status = (await shop.get("/api/v1/orders/my-shopify/5001")).status_code
    assert answered < 1
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "inbox" and not task.done()]


async def test_the_inbox_waits_while_nothing_works_on_it(shopify: Sender, store: Store) -> None:
    begun = time.monotonic()
    for n in range(20):
        good(await shopify.shopify("orders/create", shopify_order(id=n + 1), str(n)))
    assert (time.monotonic() - begun) / 20 < 1, "each within a second"
    assert outcomes(store) == ["waiting"] * 20


async def test_lists_are_pages_and_only_what_an_index_serves(shopify: Sender, shop: httpx.AsyncClient) -> None:
    for n in range(5):
        good(await shopify.shopify("orders/create", shopify_order(id=n + 1), str(n)))
    first = good(await shop.get("/api/v1/inbox", params={"state": "waiting", "limit": 2, "count": "true"}))
    assert (len(first["items"]), first["count"]) == (2, 5)
    rest = good(await shop.get("/api/v1/inbox", params={"state": "waiting", "cursor": first["next_cursor"]}))
    assert len({one["id"] for one in first["items"] + rest["items"]}) == 5
    refused(await shop.get("/api/v1/inbox"), 400, "unreadable_request")
    refused(await shop.get("/api/v1/inbox", params={"state": "lost"}), 400, "unreadable_request")
    refused(await shop.get("/api/v1/inbox/dlv_none"), 404, "not_found")
    refused(await shop.post("/api/v1/inbox/dlv_none/replay"), 404, "not_found")


@pytest.mark.parametrize("kind", ["shopify", "woo"])
async def test_an_order_of_too_many_lines_is_refused_before_it_is_looked_at(
    kind: str, shopify: Sender, woo: Sender, sweep: Sweep, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked_at(_data: Any) -> None:
        raise AssertionError("mapped all the same")

    monkeypatch.setattr(shopify_mapping, "order", looked_at)
    monkeypatch.setattr(woo_mapping, "order", looked_at)
    many = store.settings.most_order_items + 1
    if kind == "shopify":
        good(await shopify.shopify("orders/create", shopify_order(line_items=[shopify_line()] * many)))
    else:
        good(await woo.woo("order.created", woo_order(line_items=[woo_line()] * many)))
    await sweep()
    (row,) = inbox_of(store)
    assert (row["state"], row["reason"]) == ("dead", "invalid_input")
    assert "/line_items" in row["detail"]


async def test_others_are_served_while_a_delivery_is_mapped(
    shopify: Sender, sweep: Sweep, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops = threading.get_ident()
    threads: list[int] = []
    mapped = shopify_mapping.order

    def noting(data: Any) -> Any:
        threads.append(threading.get_ident())
        return mapped(data)

    monkeypatch.setattr(shopify_mapping, "order", noting)
    good(await shopify.shopify("orders/create", shopify_order()))
    await sweep()
    assert outcomes(store) == ["applied"]
    assert len(threads) == 1
    assert loops not in threads
