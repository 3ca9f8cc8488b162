"""/api/v1/events."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from crm.identities import names
from tests.fixtures.answers import counts, good, refused, walk
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

Body = dict[str, Any]
URL = "/api/v1/events"
VISITOR = {"source": "web", "anonymous_id": "anon-1"}
CUSTOMERS = "/api/v1/customers"


def event(message_id: str, /, **changes: Any) -> Body:
    body: Body = {"source": "web", "message_id": message_id, "type": "page", "occurred_at": "2026-01-31T12:00:00Z"}
    owner = {} if "customer" in changes or "anonymous_id" in changes else {"anonymous_id": "anon-1"}
    return {**body, **owner, **changes}


async def send(client: httpx.AsyncClient, *events: Body) -> tuple[int, int]:
    """How many were accepted, and how many were duplicates."""
    body = good(await client.post(URL, json={"events": events}))
    return body["accepted"], body["duplicates"]


async def new_customer(client: httpx.AsyncClient, **fields: Any) -> str:
    customer_id: str = good(await client.post(CUSTOMERS, json={"last_name": "Example", **fields}), 201)["id"]
    return customer_id


async def last_seen(client: httpx.AsyncClient, customer_id: str) -> str | None:
    seen: str | None = good(await client.get(f"{CUSTOMERS}/{customer_id}"))["stats"]["last_seen_at"]
    return seen


async def test_what_is_sent_is_read_again(ingest: httpx.AsyncClient, sales: httpx.AsyncClient) -> None:
    properties = {
        "price": 4.5, "n": 2**53, "deep": {"b": [True, None, {"c": ["x"]}]}, "empty": {}, "clé": "€",
        "null": None, "text": "t" * 2000,
    }  # fmt: skip
    first = event("m1", type="track", name="Viewed", properties=properties, occurred_at="2026-01-31T13:00:00.5+01:00")
    assert await send(ingest, first) == (1, 0)
    (read,) = good(await sales.get(URL, params=VISITOR))["items"]
    assert read == {
        **first,
        "id": read["id"],
        "customer_id": None,
        "identity_id": names.of_visitor("web", "anon-1"),
        "user_id": None,
        "occurred_at": "2026-01-31T12:00:00.500000Z",
        "received_at": read["received_at"],
        "clock": None,
        "retention": "browsing",
        "commerce": None,
        "context": {},
    }
    assert abs(datetime.fromisoformat(read["received_at"]) - datetime.now(UTC)) < timedelta(minutes=1)


async def test_what_happened_in_a_shop_is_typed_and_exact(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, analyst: httpx.AsyncClient, store: Store
) -> None:
    customer = await new_customer(sales)
    mug = {"sku": "MUG", "name": "Mug", "price": "4.50", "quantity": 2, "position": 0, "url": "/mug"}
    sold = {"action": "product_added", "currency": "GBP", "value": "9.0000", "cart_id": "c-1", "query": "cups"}
    added = event("1", type="track", name="Product Added", customer={"id": customer})
    assert await send(ingest, {**added, "commerce": {**sold, "products": [mug]}}) == (1, 0)
    assert await send(ingest, event("2", type="track", name="Ordered", commerce={"action": "order_completed"})) == (
        1,
        0,
    )
    (read,) = good(await sales.get(URL, params={"customer_id": customer}))["items"]
    assert (read["retention"], read["customer_id"], read["identity_id"]) == ("commerce", customer, customer)
    shown = {name: value for name, value in read["commerce"].items() if value is not None}
    (product,) = shown.pop("products")
    assert shown == sold, "with all its decimals"
    assert {name: value for name, value in product.items() if value is not None} == mug
    (read,) = good(await sales.get(URL, params=VISITOR))["items"]
    assert (read["commerce"]["action"], read["commerce"]["products"]) == ("order_completed", None)
    row = store.root["events"].find_one({"_id": read["id"]})
    assert row is not None
    assert row["commerce"] == {"action": "order_completed"}
    (read,) = good(await analyst.get(URL, params={"customer_id": customer}))["items"]
    assert (read["commerce"]["value"], read["commerce"]["query"], read["user_id"]) == ("9.0000", None, None)
    emptied = {"action": "cart_viewed", "products": []}
    assert await send(ingest, event("3", type="track", name="Seen", commerce=emptied)) == (1, 0)
    found = good(await sales.get(URL, params=VISITOR))["items"]
    assert [e["commerce"]["products"] for e in found if e["name"] == "Seen"] == [[]], "none is not the same as no list"


async def test_a_repeat_is_recognised_within_a_batch_and_later(ingest: httpx.AsyncClient, store: Store) -> None:
    batch = [event("1"), event("2"), event("1", type="screen"), event("1", source="app")]
    assert await send(ingest, *batch) == (3, 1)
    assert await send(ingest, *batch) == (0, 4)
    assert await send(ingest, event("2", anonymous_id="other"), event("3")) == (1, 1)
    rows = {(row["source"], row["message_id"]): row for row in store.root["events"].find({})}
    assert rows.keys() == {("web", "1"), ("web", "2"), ("app", "1"), ("web", "3")}
    assert rows["web", "1"]["type"] == "page"
    assert rows["web", "2"]["anonymous_id"] == "anon-1"


async def test_ids_of_two_sources_never_run_together(ingest: httpx.AsyncClient) -> None:
    assert await send(ingest, event("bc", source="a"), event("c", source="ab"), event("c", source="a")) == (3, 0)


async def test_concurrent_batches_store_each_event_once(ingest: httpx.AsyncClient, store: Store) -> None:
    batch = [event(str(n)) for n in range(100)]
    answers = await asyncio.gather(*[send(ingest, *batch) for _ in range(8)])
    assert sum(accepted for accepted, _ in answers) == 100
    assert sum(duplicates for _, duplicates in answers) == 700
    assert store.root["events"].count_documents({}) == 100


async def test_a_batch_has_at_most_500_events(ingest: httpx.AsyncClient, store: Store) -> None:
    assert await send(ingest, *[event(str(n)) for n in range(500)]) == (500, 0)
    answer = await ingest.post(URL, json={"events": [event(str(n)) for n in range(501)]})
    refused(answer, 422, "invalid_input", "/events")
    assert store.root["events"].count_documents({}) == 500


async def test_a_clock_that_is_a_little_ahead_is_corrected(ingest: httpx.AsyncClient, sales: httpx.AsyncClient) -> None:
    customer = await new_customer(sales)
    ahead = (datetime.now(UTC) + timedelta(minutes=4)).isoformat()
    assert await send(ingest, event("1", customer={"id": customer}, occurred_at=ahead)) == (1, 0)
    (read,) = good(await sales.get(URL, params={"customer_id": customer}))["items"]
    assert read["occurred_at"] == read["received_at"]
    assert await last_seen(sales, customer) == read["received_at"]


async def test_an_event_in_the_future_refuses_the_batch(ingest: httpx.AsyncClient, store: Store) -> None:
    later = (datetime.now(UTC) + timedelta(minutes=6)).isoformat()
    before = counts(store)
    batch = [event("1", customer={"email": "ann@example.com"}), event("2", occurred_at=later)]
    answer = await ingest.post(URL, json={"events": batch})
    refused(answer, 422, "invalid_input", "/events/1/occurred_at")
    assert counts(store) == before


async def test_customers_are_found_or_made(ingest: httpx.AsyncClient, sales: httpx.AsyncClient, store: Store) -> None:
    ann = await new_customer(sales, email="ann@example.com")
    bob = await new_customer(sales, external_ids=[{"source": "shop", "id": "7"}])
    batch = [
        event("1", customer={"email": "ANN@example.com"}),
        event("2", customer={"email": "ANN@example.com"}),
        event("3", customer={"external_id": "7", "external_source": "shop"}),
        event("4", customer={"external_id": "7"}),
        event("5", customer={"id": bob}, anonymous_id="anon-2"),
        event("6"),
    ]
    assert await send(ingest, *batch) == (6, 0)
    owners = {row["message_id"]: row["identity_id"] for row in store.root["events"].find({})}
    web = owners.pop("4")
    assert owners == {"1": ann, "2": ann, "3": bob, "5": bob, "6": names.of_visitor("web", "anon-1")}
    assert good(await sales.get(f"{CUSTOMERS}/{web}"))["external_ids"] == [{"source": "web", "id": "7"}]
    assert store.root["customers"].count_documents({}) == 3


async def test_an_unknown_customer_id_refuses_the_batch(ingest: httpx.AsyncClient, store: Store) -> None:
    before = counts(store)
    named = [{"email": "new@example.com"}, {"id": "cus_nobody"}, {"id": "cus_nobody2"}]
    batch = [event(str(n), customer=customer) for n, customer in enumerate(named)]
    answer = await ingest.post(URL, json={"events": batch})
    refused(answer, 422, "invalid_input", "/events/1/customer/id")
    assert counts(store) == before


async def test_last_seen_is_the_latest_of_a_customers_events(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient
) -> None:
    ann, bob = await new_customer(sales), await new_customer(sales)

    def at(day: int, message_id: str, customer: str) -> Body:
        return event(message_id, customer={"id": customer}, occurred_at=f"2026-01-{day:02}T00:00:00Z")

    await send(ingest, at(5, "1", ann), at(7, "2", ann), at(6, "3", ann), at(9, "4", bob))
    assert (await last_seen(sales, ann), await last_seen(sales, bob)) == (
        "2026-01-07T00:00:00Z",
        "2026-01-09T00:00:00Z",
    )
    await send(ingest, at(1, "5", ann))
    assert await last_seen(sales, ann) == "2026-01-07T00:00:00Z"
    body = good(await sales.get(f"{CUSTOMERS}/{ann}"))
    assert body["version"] == 1, "an event is no edit"
    await send(ingest, at(8, "6", ann))
    assert await last_seen(sales, ann) == "2026-01-08T00:00:00Z"


async def test_a_tracking_key_sends_anonymous_events_only(
    tracking: httpx.AsyncClient, sales: httpx.AsyncClient, store: Store
) -> None:
    customer = await new_customer(sales)
    before = counts(store)
    for named in ({"id": customer}, {"email": "ann@example.com"}, {"external_id": "1"}):
        batch = [event("1"), event("2", customer=named, anonymous_id="anon-1")]
        body = refused(await tracking.post(URL, json={"events": batch}), 403, "forbidden")
        assert "MongoDB" not in body["detail"], "said by us before anything was looked up"
    assert counts(store) == before
    assert await send(tracking, event("1"), event("2")) == (2, 0)
    assert await send(tracking, event("1")) == (0, 1)
    refused(await tracking.get(URL, params=VISITOR), 403, "forbidden")


async def test_an_event_is_somebodys_and_a_track_event_has_a_name(ingest: httpx.AsyncClient) -> None:
    for wrong in (event("1", anonymous_id=None), event("1", customer=None), event("1", type="track")):
        refused(await ingest.post(URL, json={"events": [event("0"), wrong]}), 422, "invalid_input", "/events/1")


DEEPEST = {"a": {"b": {"c": {"d": {"e": 1}}}}}


@pytest.mark.parametrize(
    "properties",
    [DEEPEST, {"a": [[[[1]]]]}, {"k" * 200: "v" * 32768}, {"": {"": 1}}, {"a": [0] * 1999},
     {"a": -(2**53), "b": 1.7976931348623157e308},
     {"a$b": "$x"}, {"a": "😀" * 32768}],
)  # fmt: skip
async def test_properties_within_their_limits_are_kept(
    properties: Body, ingest: httpx.AsyncClient, sales: httpx.AsyncClient
) -> None:
    assert await send(ingest, event("1", properties=properties)) == (1, 0)
    (read,) = good(await sales.get(URL, params=VISITOR))["items"]
    assert read["properties"] == properties


async def test_lists(ingest: httpx.AsyncClient, sales: httpx.AsyncClient, analyst: httpx.AsyncClient) -> None:
    customer = await new_customer(sales)
    times = [f"2026-01-0{1 + n % 3}T00:00:00Z" for n in range(7)]
    batch = [event(str(n), customer={"id": customer}, occurred_at=at) for n, at in enumerate(times)]
    await send(ingest, *batch, event("other"))
    everything = good(await sales.get(URL, params={"customer_id": customer}))["items"]
    expected = [e["id"] for e in sorted(everything, key=lambda e: (e["occurred_at"], e["id"]), reverse=True)]
    assert len(expected) == 7
    for limit in (1, 3, 7, 50):
        assert await walk(sales, URL, customer_id=customer, limit=limit) == expected
        ascending = await walk(sales, URL, customer_id=customer, limit=limit, sort="occurred_at")
        assert ascending == expected[::-1]
    assert len(await walk(sales, URL, **VISITOR)) == 1
    assert await walk(sales, URL, source="app", anonymous_id="anon-1") == [], "another source's visitor"
    for query in ("", "customer_id=a&anonymous_id=b", "customer_id=a&sort=received_at", "type=page", "anonymous_id=a"):
        refused(await sales.get(f"{URL}?{query}"), 400, "unreadable_request")
    for read in good(await analyst.get(URL, params={"customer_id": customer}))["items"]:
        assert (read["properties"], read["context"], read["anonymous_id"]) == ({}, {}, None)
    refused(await analyst.get(URL, params=VISITOR), 403, "forbidden")
