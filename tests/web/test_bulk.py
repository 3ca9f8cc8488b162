"""The bulk routes on the real database: every result, resending, what is refused alone, who may."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from crm.customers import filling
from crm.database.driver import Database
from crm.errors import Unavailable
from crm.events import rows as rows_of_events
from crm.orders import service as orders
from crm.web import ndjson as engine
from tests.fixtures.answers import MARKER, Bad, good, refused
from tests.fixtures.lines import NDJSON, ndjson, results, send_lines
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

Body = dict[str, Any]
PRODUCT: Body = {"sku": "MUG", "title": "Mug", "price": {"amount": "4.50", "currency": "GBP"}}
EVENT: Body = {
    "source": "web", "message_id": "1", "type": "page", "anonymous_id": "v1", "occurred_at": "2026-01-31T12:00:00Z",
}  # fmt: skip
CUSTOMER: Body = {"email": "ann@example.com", "external_ids": [{"source": "shop", "id": "c-1"}]}


@pytest.fixture
def order(order_body: Body) -> Body:
    return {"source": "shop", "external_id": "1", **order_body}


@pytest.fixture
def lines(order: Body) -> dict[str, Body]:
    return {"orders": order, "products": PRODUCT, "customers": CUSTOMER, "events": EVENT}


async def test_orders_every_result(ingest: httpx.AsyncClient, admin: httpx.AsyncClient, order: Body) -> None:
    other = {**order, "external_id": "a/b c"}
    rows, last = await send_lines(ingest, "orders", order, other)
    assert results(rows) == ["created", "created"]
    assert (rows[1]["source"], rows[1]["external_id"]) == ("shop", "a/b c")
    stored = good(await admin.get("/api/v1/orders/shop/a%2Fb%20c"))
    assert stored["id"] == rows[1]["id"]
    older = {**order, "source_updated_at": "2020-01-01T00:00:00Z", "note": "old"}
    newer = {**other, "note": "new", "source_updated_at": "2026-02-01T00:00:00Z"}
    rows, last = await send_lines(ingest, "orders", order, older, newer, {**order, "total": "15.18"}, b"{]\n")
    assert results(rows) == ["unchanged", "stale", "updated", "refused", "refused"]
    assert rows[0].keys() == {"line", "id", "source", "external_id", "result"}
    assert rows[3]["errors"][0]["pointer"] == "/total"
    assert last == {
        "done": True, "lines": 5, "created": 0, "updated": 1, "unchanged": 1, "stale": 1, "refused": 2, "failed": 0,
    }  # fmt: skip


async def test_an_order_is_the_same_by_either_road(ingest: httpx.AsyncClient, order: Body, order_body: Body) -> None:
    good(await ingest.put("/api/v1/orders/shop/1", json=order_body), 201)
    rows, _ = await send_lines(ingest, "orders", order)
    assert results(rows) == ["unchanged"]


async def test_of_lines_with_the_same_order_the_last_one_holds(
    ingest: httpx.AsyncClient, admin: httpx.AsyncClient, order: Body
) -> None:
    del order["source_updated_at"]
    rows, _ = await send_lines(ingest, "orders", *({**order, "note": str(n)} for n in range(100)))
    assert results(rows) == ["created", *["updated"] * 99]
    assert good(await admin.get("/api/v1/orders/shop/1"))["note"] == "99"
    assert len({row["id"] for row in rows}) == 1


async def test_a_customers_totals_are_those_of_all_lines(
    ingest: httpx.AsyncClient, admin: httpx.AsyncClient, order: Body
) -> None:
    await send_lines(ingest, "orders", *({**order, "external_id": str(n)} for n in range(30)))
    async with asyncio.timeout(20):
        while True:
            (customer,) = good(await admin.get("/api/v1/customers"))["items"]
            if customer["stats"]["orders_count"] == 30:
                break
            await asyncio.sleep(0.05)
    assert customer["stats"]["totals"][0]["gross"] == "455.70"


async def test_products(ingest: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    rows, _ = await send_lines(ingest, "products", PRODUCT, {**PRODUCT, "sku": "T/EA"}, {"title": "No SKU"})
    assert results(rows) == ["created", "created", "refused"]
    assert (rows[1]["sku"], rows[2]["errors"][0]["pointer"]) == ("T/EA", "/sku")
    rows, _ = await send_lines(ingest, "products", PRODUCT, {**PRODUCT, "sku": "T/EA", "title": "Tea"})
    assert results(rows) == ["unchanged", "updated"]
    assert good(await admin.get("/api/v1/products/T%2FEA"))["title"] == "Tea"


async def test_a_product_may_be_called_bulk(ingest: httpx.AsyncClient, order_body: Body) -> None:
    body = {key: value for key, value in PRODUCT.items() if key != "sku"}
    assert good(await ingest.put("/api/v1/products/bulk", json=body), 201)["sku"] == "bulk"
    assert good(await ingest.get("/api/v1/products/bulk"))["title"] == "Mug"
    assert good(await ingest.put("/api/v1/products/bulk/2", json=body), 201)["sku"] == "bulk/2"
    assert good(await ingest.put("/api/v1/orders/bulk/bulk", json=order_body), 201)["source"] == "bulk"
    assert good(await ingest.get("/api/v1/orders/bulk/bulk"))["external_id"] == "bulk"


async def test_customers_are_created_filled_in_or_left(ingest: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    rows, _ = await send_lines(ingest, "customers", CUSTOMER, CUSTOMER)
    assert results(rows) == ["created", "unchanged"]
    more = {
        "email": "ANN@example.com", "first_name": "Ann", "tags": ["vip", "b2b"], "attributes": {"size": 4},
        "external_ids": [{"source": "pos", "id": "9"}], "addresses": [{"city": "Leeds"}],
        "consents": [{"channel": "email", "status": "granted", "at": "2026-01-01T00:00:00Z", "source": "till"}],
    }  # fmt: skip
    again, _ = await send_lines(ingest, "customers", more, more)
    assert results(again) == ["updated", "unchanged"]
    other = {
        **more, "first_name": "Anna", "tags": ["vip", "new"], "attributes": {"size": 5, "colour": "red"},
        "addresses": [{"city": "York"}], "email": None,
        "consents": [{"channel": "email", "status": "withdrawn", "at": "2020-01-01T00:00:00Z", "source": "till"}],
    }  # fmt: skip
    last, _ = await send_lines(ingest, "customers", other)
    assert results(last) == ["updated"]
    assert {row["id"] for row in (*rows, *again, *last)} == {rows[0]["id"]}
    found = good(await admin.get(f"/api/v1/customers/{rows[0]['id']}"))
    assert (found["email"], found["first_name"]) == ("ann@example.com", "Ann")
    assert found["tags"] == ["vip", "b2b", "new"]
    assert found["attributes"] == {"size": 4, "colour": "red"}
    assert [address["city"] for address in found["addresses"]] == ["Leeds"]
    assert [consent["status"] for consent in found["consents"]] == ["granted"]
    assert found["external_ids"] == [{"source": "shop", "id": "c-1"}, {"source": "pos", "id": "9"}]


async def test_customers_that_are_refused(ingest: httpx.AsyncClient, store: Store) -> None:
    bob = {"email": "bob@example.com", "external_ids": [{"source": "shop", "id": "c-2"}]}
    await send_lines(ingest, "customers", CUSTOMER, bob, {"external_ids": [{"source": "shop", "id": "c-3"}]})
    rows, _ = await send_lines(
        ingest, "customers",
        {"external_ids": [{"source": "shop", "id": "c-3"}], "email": "bob@example.com"},
        {"external_ids": [{"source": "shop", "id": "c-1"}, {"source": "shop", "id": "c-2"}]},
        {"phone": "+44 7700 900123"}, {"first_name": "Ann"}, {"email": "no"}, {"tags": ["x"]},
    )  # fmt: skip
    assert results(rows) == ["refused"] * 6
    assert [row["code"] for row in rows] == ["already_exists", "already_exists", *["invalid_input"] * 4]
    pointers = [row["errors"][0]["pointer"] for row in rows]
    assert pointers == ["/email", "/external_ids", "", "", "/email", ""]
    assert store.root.customers.count_documents({}) == 3


async def test_the_same_new_customer_in_many_streams_is_one(ingest: httpx.AsyncClient, store: Store) -> None:
    many = [{"email": f"c{n % 10}@example.com", "external_ids": [{"source": "s", "id": str(n)}]} for n in range(100)]
    done = await asyncio.gather(*(send_lines(ingest, "customers", *many) for _ in range(4)))
    assert all(last["refused"] == last["failed"] == 0 for _, last in done)
    assert sum(last["created"] for _, last in done) == 10
    assert store.root.customers.count_documents({}) == 10
    assert all(len(row["external_ids"]) == 10 for row in store.root.customers.find())


async def test_somebody_fills_the_customer_in_meanwhile(
    ingest: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _ = await send_lines(ingest, "customers", CUSTOMER)
    find, looked = filling._find, 0

    async def and_then_somebody_writes(*arguments: Any) -> Any:
        nonlocal looked
        found = await find(*arguments)
        looked += 1
        if looked == 1:
            change = {"$set": {"first_name": "Other"}, "$inc": {"version": 1}}
            store.root.customers.update_one({"_id": rows[0]["id"]}, change)
        return found

    monkeypatch.setattr(filling, "_find", and_then_somebody_writes)
    again, _ = await send_lines(ingest, "customers", {**CUSTOMER, "first_name": "Ann", "last_name": "Example"})
    assert (results(again), looked) == (["updated"], 2)
    assert store.root.customers.find_one()["first_name"] == "Other"  # type: ignore[index]  # there is one


async def test_events(ingest: httpx.AsyncClient, admin: httpx.AsyncClient, store: Store) -> None:
    named = {**EVENT, "message_id": "2", "customer": {"email": "ann@example.com"}}
    rows, _ = await send_lines(
        ingest, "events", EVENT, EVENT, named, {**EVENT, "message_id": "3", "occurred_at": "2199-01-01T00:00:00Z"},
        {**EVENT, "message_id": "4", "customer": {"id": "cus_nobody"}}, {**EVENT, "properties": {"a.b": 1}},
        {**named, "message_id": "5", "occurred_at": "2026-02-01T12:00:00Z"},
    )  # fmt: skip
    assert results(rows) == ["created", "unchanged", "created", "refused", "refused", "refused", "created"]
    assert rows[0]["id"] == rows[1]["id"]
    assert [row["errors"][0]["pointer"] for row in rows[3:6]] == ["/occurred_at", "/customer/id", "/properties"]
    assert store.root.events.count_documents({}) == 3
    (customer,) = good(await admin.get("/api/v1/customers"))["items"]
    assert customer["stats"]["last_seen_at"] == "2026-02-01T12:00:00Z"
    rows, _ = await send_lines(ingest, "events", EVENT, named, {**EVENT, "message_id": "new"})
    assert results(rows) == ["unchanged", "unchanged", "created"]


async def test_what_the_database_itself_refuses_harms_no_neighbour(
    ingest: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    row_of = rows_of_events.of_message

    def broken(sender: Any, message: Any, *others: Any) -> Any:
        row = row_of(sender, message, *others)
        return {**row, "clock": "nonsense"} if message.message_id == "2" else row

    monkeypatch.setattr(rows_of_events, "of_message", broken)
    rows, _ = await send_lines(ingest, "events", *({**EVENT, "message_id": str(n)} for n in range(4)))
    assert results(rows)[2] == "refused"
    assert rows[2]["code"] == "rule_violated"
    assert "refused" not in results(rows)[:2] + results(rows)[3:]
    assert store.root.events.count_documents({}) == 3


@pytest.mark.parametrize("kind", ["orders", "products", "customers", "events"])
async def test_bad_lines_are_refused_alone(
    kind: str, ingest: httpx.AsyncClient, lines: dict[str, Body], store: Store
) -> None:
    line = lines[kind]
    whole = json.dumps(line).encode()
    bad = [
        whole[:-1], whole + b"}", whole.replace(b"2026", b"\xff"), b"null", b"[]", b'"x"', b"7", b"{}", b"[" * 100_000,
        whole[:-1] + b', "leak@example.com": 1}', whole[:-1] + b', "x": NaN}', b'{"x": "' + b"y" * 1_000_000 + b'"}',
    ]  # fmt: skip
    if kind in {"products", "customers"}:
        bad.remove(whole.replace(b"2026", b"\xff"))  # it has no such thing
    first, third = ndjson(line), b"\r\n".join([b"", *bad, b""])
    rows, last = await send_lines(ingest, kind, b"\xef\xbb\xbf" + first, b"\n", third, whole)
    assert results(rows) == ["created", *["refused"] * len(bad), "unchanged"]
    assert [row["line"] for row in rows] == [1, *range(4, 4 + len(bad)), 4 + len(bad)]
    assert all(row["code"] in {"unreadable_request", "invalid_input"} for row in rows[1:-1])
    assert all(row["status"] in {400, 422} and row["detail"] for row in rows[1:-1])
    assert "leak" not in json.dumps([{**row, "errors": []} for row in rows])
    assert store.root[kind].count_documents({}) == 1
    assert last["refused"] == len(bad)


@pytest.mark.parametrize("kind", ["orders", "products", "customers", "events"])
async def test_a_line_is_refused_in_the_words_of_the_single_route(
    kind: str, ingest: httpx.AsyncClient, lines: dict[str, Body]
) -> None:
    line = {**lines[kind], "a/b": 1, "attributes": 5, "items": [{"sku": 5}], "customer": {"x": 1}, "price": 5}
    rows, _ = await send_lines(ingest, kind, line)
    single: Body = {key: value for key, value in line.items() if key not in {"source", "external_id", "sku"}}
    if kind == "orders":
        answer = await ingest.put("/api/v1/orders/shop/1", json=single)
    elif kind == "products":
        answer = await ingest.put("/api/v1/products/1", json=single)
    elif kind == "customers":
        answer = await ingest.post("/api/v1/customers", json=line)
    else:
        answer = await ingest.post("/api/v1/events", json={"events": [line]})
    problem = refused(answer, 422, "invalid_input")
    said = [{**e, "pointer": e["pointer"].removeprefix("/events/0")} for e in problem["errors"]]
    assert {json.dumps(e, sort_keys=True) for e in rows[0]["errors"]} == {json.dumps(e, sort_keys=True) for e in said}
    assert len(said) > 2
    assert (rows[0]["code"], rows[0]["detail"]) == (problem["code"], problem["detail"])


async def test_gzip(ingest: httpx.AsyncClient, store: Store) -> None:
    products = ndjson(*({**PRODUCT, "sku": str(n)} for n in range(1200)))
    _, last = await send_lines(ingest, "products", gzip.compress(products), **{"Content-Encoding": "gzip"})
    assert last["created"] == 1200 == store.root.products.count_documents({})
    rows, last = await send_lines(ingest, "products", b"no gzip", **{"Content-Encoding": "GZIP"})
    assert (rows, last["done"], last["detail"]) == ([], False, "The gzip stream is broken.")
    for encoding in ("br", "gzip, gzip", "zstd"):
        headers = {**NDJSON, "Content-Encoding": encoding}
        answer = await ingest.post("/api/v1/products/bulk", content=b"{}", headers=headers)
        refused(answer, 415, "unsupported_media_type")


async def test_more_than_any_other_route_takes(ingest: httpx.AsyncClient, store: Store) -> None:
    long = {**PRODUCT, "description": "d" * 10_000}
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < store.settings.max_body_bytes * 2:
            piece = ndjson(*[long] * 100)
            sent += len(piece)
            yield piece

    answer = await ingest.post("/api/v1/products/bulk", content=body(), headers=NDJSON, timeout=60)
    last = json.loads(answer.text.splitlines()[-1])
    assert (last["done"], last["created"] + last["unchanged"], last["lines"]) == (True, last["lines"], last["lines"])
    assert sent > store.settings.max_body_bytes * 2 - 1


@pytest.mark.parametrize("kind", ["orders", "products", "customers", "events"])
async def test_content_types(kind: str, ingest: httpx.AsyncClient, store: Store, lines: dict[str, Body]) -> None:
    for name in (*engine.CONTENT_TYPES, "application/x-ndjson; charset=utf-8"):
        url = f"/api/v1/{kind}/bulk"
        answer = await ingest.post(url, content=ndjson(lines[kind]), headers={"Content-Type": name})
        assert answer.status_code == 200
    before = store.root[kind].count_documents({})
    for name in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = await ingest.post(f"/api/v1/{kind}/bulk", content=ndjson(lines[kind]), headers={"Content-Type": name})
        assert "application/x-ndjson" in refused(answer, 415, "unsupported_media_type")["detail"]
    answer = await ingest.post(f"/api/v1/{kind}/bulk?source={MARKER}", content=b"", headers=NDJSON)
    refused(answer, 400, "unreadable_request")
    assert store.root[kind].count_documents({}) == before


async def test_bad_lines_store_nothing_and_are_repeated_nowhere(
    ingest: httpx.AsyncClient, store: Store, caplog: pytest.LogCaptureFixture, lines: dict[str, Body]
) -> None:
    for kind, line in lines.items():
        wrong = [{**line, "email": MARKER, "total": MARKER, "title": [MARKER], "type": MARKER, "x": 1}, {"a": MARKER}]
        answer = await Bad(ingest, store, caplog).send(
            "POST", f"/api/v1/{kind}/bulk", ndjson(*wrong, MARKER.encode()), NDJSON
        )
        assert answer.status_code == 200
        assert json.loads(answer.text.splitlines()[-1])["refused"] == 3


async def test_the_database_goes_away_in_the_middle(
    ingest: httpx.AsyncClient, order: Body, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    monkeypatch.setattr(engine, "_WAITS", (0.0, 0.0))
    name = "put_many" if hasattr(orders, "put_many") else "put"
    work = getattr(orders, name)
    calls = 0

    async def away(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls <= 2:
            raise Unavailable("The database cannot be reached at the moment.", retry_after=2)
        return await work(*arguments, **options)

    monkeypatch.setattr(orders, name, away)
    rows, last = await send_lines(ingest, "orders", order)
    assert (results(rows), calls) == (["created"], 3)
    calls = -10
    rows, last = await send_lines(ingest, "orders", {**order, "external_id": "2"})
    assert results(rows) == ["failed"]
    assert (rows[0]["code"], rows[0]["status"], last["failed"]) == ("unavailable", 503, 1)
    assert store.root.orders.count_documents({}) == 1


async def test_the_work_is_done_as_the_callers_role(
    sales: httpx.AsyncClient, tracking: httpx.AsyncClient, ingest: httpx.AsyncClient, database: Database
) -> None:
    """Tasks that the route starts act as the caller, too: what comes after the guard is MongoDB's."""
    for client in (sales, tracking):
        refused(await client.post("/api/v1/events/bulk", content=ndjson(EVENT), headers=NDJSON), 403, "forbidden")
    rows, _ = await send_lines(ingest, "events", EVENT)
    assert results(rows) == ["created"]


async def test_the_description_has_lines_in_and_out(anonymous: httpx.AsyncClient) -> None:
    document = good(await anonymous.get("/api/openapi.json"))
    for kind, model in {"orders": "OrderLine", "products": "ProductLine", "events": "EventIn"}.items():
        operation = document["paths"][f"/api/v1/{kind}/bulk"]["post"]
        (sent,) = operation["requestBody"]["content"].items()
        assert (sent[0], sent[1]["schema"]["contentSchema"]) == (
            "application/x-ndjson",
            {"$ref": f"#/components/schemas/{model}"},
        )
        assert model in document["components"]["schemas"]
        answered = operation["responses"]["200"]["content"]["application/x-ndjson"]["schema"]["contentSchema"]["$ref"]
        assert answered.endswith("/BulkLineOut")
