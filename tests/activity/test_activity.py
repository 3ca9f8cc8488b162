"""What customers do at present, kept current from what browsers send, on the real server."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar

from crm.activity import projection, projector
from crm.activity import service as activity
from crm.activity.activities import alike
from crm.clock import now
from crm.database.driver import Database, acting_as
from crm.identity import SYSTEM, Role
from tests.activity.browsing import Visitor, customer_of, in_turn, mug, stored, until
from tests.fixtures.answers import good, pages, refused
from tests.fixtures.rows import Row, activity_row, customer_row
from tests.fixtures.shop import push
from tests.fixtures.store import Store, totals_settled

pytestmark = pytest.mark.mongo


def told(row: Row) -> Row:
    """What events tell, without what every customer has for themselves."""
    return {name: row.get(name) for name in ("last_seen_at", "session", "viewed", "cart", "cart_at")}


def wire(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def read(client: httpx.AsyncClient, customer_id: str) -> Row:
    found: Row = good(await client.get(f"/api/v1/customers/{customer_id}/activity"))
    return found


async def test_what_somebody_does_is_shown_at_once_and_stored_in_a_moment(
    app: Litestar, database: Database, store: Store, sales: httpx.AsyncClient
) -> None:
    ann = Visitor(database)
    page: Row = {"context": {"page": {"url": "https://shop.example.com/mugs"}}}
    await ann.sends(ann.identified(0), ann.message(0, **page), ann.did(1, "product_viewed", mug(), currency="GBP"))
    await ann.sends(ann.did(2, "product_added", mug(2), currency="GBP", cart_id="c-1"))
    customer_id = customer_of(store, ann)
    shown = await read(sales, customer_id)
    product = dict.fromkeys(("product_id", "variant", "url", "image_url")) | {
        "sku": "MUG", "name": "Mug", "price": "4.50", "currency": "GBP",
    }  # fmt: skip
    times = [wire(ann.began + timedelta(minutes=minutes)) for minutes in range(3)]
    assert shown == {
        "customer_id": customer_id,
        "last_seen_at": times[2],
        "session": {
            "started_at": times[0],
            "last_at": times[2],
            "events": 3,
            "pages": 1,
            "entry_url": "https://shop.example.com/mugs",
            "truncated": False,
        },
        "viewed": [{**product, "at": times[1]}],
        "cart": {
            "customer_id": customer_id,
            "state": "open",
            "cart_id": "c-1",
            "totals": [{"currency": "GBP", "amount": "9.00"}],
            "items": [{**product, "quantity": 2}],
            "opened_at": times[2],
            "updated_at": times[2],
        },
    }
    await until(lambda: stored(store, customer_id).get("cart_at") == ann.began + timedelta(minutes=2))
    customer = good(await sales.get(f"/api/v1/customers/{customer_id}"))
    assert customer["stats"]["last_seen_at"] == times[2]
    listed = good(await sales.get("/api/v1/carts"))
    assert listed == {"items": [shown["cart"]], "next_cursor": None}


async def test_a_cart_that_is_seen_to_be_empty_is_none(
    app: Litestar, database: Database, store: Store, sales: httpx.AsyncClient, tracking: httpx.AsyncClient
) -> None:
    ann = Visitor(database)
    item = {"userId": ann.user_id, "timestamp": ann.began.isoformat(), "type": "track", "context": None}
    steps: list[Row] = [
        {"type": "identify", "traits": {"email": ann.email}},
        {"event": "Product Added", "properties": {"cart_id": "c-1", "sku": "MUG", "price": 4.50}},
        {"event": "Cart Viewed", "properties": {"cart_id": "c-1", "products": []}},
    ]
    for minute, step in enumerate(steps):
        sent = item | step | {"timestamp": (ann.began + timedelta(minutes=minute)).isoformat()}
        answer = good(await tracking.post("/v1/batch", json={"batch": [sent]}))
        assert (answer["accepted"], answer["rejected"]) == (1, [])
        if minute == 1:
            assert (await read(sales, customer_of(store, ann)))["cart"]["items"]
    assert (await read(sales, customer_of(store, ann)))["cart"] is None


async def test_somebody_who_was_never_seen_has_nothing(sales: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    customer_id = good(await admin.post("/api/v1/customers", json={"last_name": "Example"}), 201)["id"]
    assert await read(sales, customer_id) == {
        "customer_id": customer_id, "last_seen_at": None, "session": None, "viewed": [], "cart": None,
    }  # fmt: skip
    refused(await sales.get("/api/v1/customers/cus_nobody/activity"), 404, "not_found")


async def test_the_same_activity_has_the_same_etag(
    app: Litestar, database: Database, store: Store, sales: httpx.AsyncClient
) -> None:
    ann = Visitor(database)
    await ann.sends(ann.identified(0), ann.did(1, "product_added", mug(), currency="GBP"))
    url = f"/api/v1/customers/{customer_of(store, ann)}/activity"
    first, again = await sales.get(url), await sales.get(url)
    assert re.fullmatch(r'"[0-9a-f]{32}"', first.headers["etag"])
    assert (again.headers["etag"], good(again)) == (first.headers["etag"], good(first))
    await ann.sends(ann.did(2, "product_added", mug(2), currency="GBP"))
    assert (await sales.get(url)).headers["etag"] != first.headers["etag"]


async def test_any_order_any_batches_and_repeats_end_the_same(app: Litestar, database: Database, store: Store) -> None:
    began = now() - timedelta(hours=2)
    found = []
    for seed in (None, 1, 2):
        bob = Visitor(database, began)
        messages = [bob.identified(0)]
        for minute in range(60):
            action = ("product_viewed", "product_added", "product_removed", "cart_viewed")[minute * 7 % 4]
            product = {**mug(minute % 3 + 1), "sku": f"SKU-{minute % 5}"}
            messages += [bob.message(minute), bob.did(minute + 0.5, action, product, signed_in=minute > 20)]
        if seed is not None:
            messages += random.Random(seed).choices(messages, k=40)
            random.Random(seed).shuffle(messages)
        await asyncio.gather(*(bob.sends(*some) for some in in_turn(messages, 17)))
        customer_id = customer_of(store, bob)
        with acting_as(database, Role.INGEST):
            expected = (await projection.told_each([customer_id]))[customer_id]
        assert expected is not None
        assert expected["session"]["events"] == 120
        await until(lambda c=customer_id, e=expected: alike(stored(store, c), e))  # type: ignore[misc]
        found.append(told(stored(store, customer_id)))
    assert found[0]["cart"]
    assert found[1] == found[2] == found[0]


async def test_what_a_visitor_did_before_is_the_customer_s_from_then_on(
    app: Litestar, database: Database, store: Store, sales: httpx.AsyncClient
) -> None:
    eve = Visitor(database)
    await eve.sends(eve.message(0, signed_in=False), eve.did(1, "product_added", mug(), signed_in=False))
    await asyncio.sleep(1)
    assert store.root["activities"].count_documents({}) == 0
    await eve.sends(eve.identified(5))
    customer_id = customer_of(store, eve)
    await until(lambda: stored(store, customer_id).get("cart"))
    row = stored(store, customer_id)
    assert (row["session"]["events"], row["cart_at"]) == (2, eve.began + timedelta(minutes=1))
    assert (await read(sales, customer_id))["session"]["events"] == 2


async def test_an_order_of_any_way_ends_the_cart(
    app: Litestar,
    database: Database,
    store: Store,
    sales: httpx.AsyncClient,
    ingest: httpx.AsyncClient,
    order_body: Row,
) -> None:
    ann, bob = Visitor(database), Visitor(database)
    for visitor in (ann, bob):
        await visitor.sends(visitor.identified(0), visitor.did(0, "product_added", mug()))
    ids = [customer_of(store, visitor) for visitor in (ann, bob)]
    await until(lambda: all(stored(store, customer_id).get("cart") for customer_id in ids))
    await ann.sends(ann.did(1, "order_completed", mug()))
    await until(lambda: not stored(store, ids[0]).get("cart"))
    # The shop's backend pushes it, and its browser says nothing.
    body = {**order_body, "customer": {"email": bob.email}, "placed_at": wire(bob.began + timedelta(minutes=1))}
    await push(ingest, body)
    await totals_settled(store)
    assert [(await read(sales, customer_id))["cart"] for customer_id in ids] == [None, None]
    assert good(await sales.get("/api/v1/carts"))["items"] == []
    await until(lambda: not stored(store, ids[1]).get("cart"))
    assert stored(store, ids[1])["viewed"] == []


async def test_carts_are_listed_by_state_the_one_touched_last_first(
    app: Litestar, database: Database, store: Store, sales: httpx.AsyncClient
) -> None:
    ids = []
    for hours in (0.5, 2, 5, 24 * 29, 24 * 31):
        somebody = Visitor(database, now() - timedelta(hours=hours))
        await somebody.sends(somebody.identified(0), somebody.did(0, "product_added", mug()))
        ids.append(customer_of(store, somebody))
    await until(lambda: all(stored(store, customer_id).get("cart") for customer_id in ids))

    async def listed(**params: Any) -> list[tuple[str, str]]:
        found = []
        while True:
            page = good(await sales.get("/api/v1/carts", params={"limit": 2, **params}))
            found += [(cart["customer_id"], cart["state"]) for cart in page["items"]]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]

    expected = list(zip(ids, ("open", "abandoned", "abandoned", "abandoned"), strict=False))
    assert await listed() == expected
    assert await listed(state="open") == expected[:1]
    assert await listed(state="abandoned") == expected[1:]
    assert await listed(sort="updated_at") == expected[::-1]
    assert (await read(sales, ids[4]))["cart"] is None
    assert good(await sales.get("/api/v1/carts", params={"count": "true"}))["count"] == 4
    refused(await sales.get("/api/v1/carts", params={"sort": "value"}), 400, "unreadable_request")
    refused(await sales.get("/api/v1/carts", params={"state": "full"}), 400, "unreadable_request", "state")
    with acting_as(database, Role.SALES):
        shown = await activity.read(SYSTEM, ids[0], abandoned_after=timedelta(minutes=10))
    assert shown.cart is not None
    assert shown.cart.state == "abandoned"


@pytest.mark.goes_around
@pytest.mark.parametrize("limit", [1, 3, 200])
async def test_a_page_of_carts_is_full_whatever_was_ordered_since(
    limit: int, app: Litestar, store: Store, sales: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Carts that were ordered since are still stored for a moment, here in runs longer than any page."""
    monkeypatch.setattr(activity, "_tell_soon", lambda *_: None)
    living, moment = [], now()
    people, does = [], []
    for number in range(600):
        customer_id, at = f"cus_{number:04}", moment - timedelta(seconds=number // 2)
        ordered = number % 297 > 2
        stats = {"orders_count": 0, "totals": [], "revision": 0, **({"last_order_at": moment} if ordered else {})}
        people.append(customer_row(_id=customer_id, stats=stats))
        does.append(activity_row(_id=customer_id, cart_at=at))
        if not ordered:
            living.append(customer_id)
    store.root["customers"].insert_many(people)
    store.root["activities"].insert_many(does)
    for sort in ("-updated_at", "updated_at"):
        found = await pages(sales, "/api/v1/carts", limit=limit, sort=sort)
        assert sorted(cart["customer_id"] for page in found for cart in page) == living
        assert all(len(page) == limit for page in found[:-1])
        assert found[-1]


async def test_who_is_deleted_leaves_no_activity(
    app: Litestar, database: Database, store: Store, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = Visitor(database)
    await ann.sends(ann.identified(0), ann.message(0))
    customer_id = customer_of(store, ann)
    await until(lambda: stored(store, customer_id))
    # The events are read, and before anything is written the customer is deleted.
    tell, gone = projection.told_each, asyncio.Event()

    async def slowly(customer_ids: Any) -> Mapping[str, Row | None]:
        found = await tell(customer_ids)
        store.root["activities"].delete_one({"_id": customer_id})
        if not gone.is_set():
            assert (await admin.delete(f"/api/v1/customers/{customer_id}")).status_code == 204
            gone.set()
        return found

    store.root["activities"].delete_one({"_id": customer_id})
    monkeypatch.setattr(projection, "told_each", slowly)
    at_work = projector.of(database)
    assert at_work is not None
    at_work.hear([customer_id], now())
    await asyncio.wait_for(gone.wait(), 10)
    await until(lambda: at_work._heard.clean_up_to(now()) >= now() - timedelta(milliseconds=50))
    assert store.root["activities"].count_documents({}) == 0


async def test_senders_do_not_wait_for_what_is_told(
    app: Litestar, database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell, gate, entered = projection.tell, asyncio.Event(), asyncio.Event()

    async def blocked(identity_ids: Any) -> None:
        entered.set()
        await gate.wait()
        await tell(identity_ids)

    monkeypatch.setattr(projection, "tell", blocked)
    ann = Visitor(database, now() - timedelta(hours=1))
    await ann.sends(ann.identified(0))
    await asyncio.wait_for(entered.wait(), 10)
    for minute in range(1, 40):
        await asyncio.wait_for(ann.sends(*(ann.message(minute) for _ in range(100))), 10)
    assert store.root["events"].count_documents({"identity_id": {"$gt": ""}}) == 3_900
    assert store.root["activities"].count_documents({}) == 0
    gate.set()
    customer_id = customer_of(store, ann)
    await until(lambda: stored(store, customer_id).get("last_seen_at") == ann.began + timedelta(minutes=39))
    row = stored(store, customer_id)
    assert (row["session"]["events"], row["session"]["truncated"]) == (500, True)


async def test_a_customer_who_cannot_be_written_holds_up_nobody(
    app: Litestar, database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = Visitor(database), Visitor(database)
    tell = projection.told_each

    async def broken(customer_ids: Any) -> Mapping[str, Row | None]:
        found = await tell(customer_ids)
        if customer_of(store, ann) in found:
            found[customer_of(store, ann)]["viewed"] = "no list"  # type: ignore[index]
        return found

    await asyncio.gather(*(v.sends(v.identified(0)) for v in (ann, bob)))
    monkeypatch.setattr(projection, "told_each", broken)
    await asyncio.gather(*(v.sends(v.message(1)) for v in (ann, bob)))
    await until(lambda: stored(store, customer_of(store, bob)))
    assert not stored(store, customer_of(store, ann))
