"""/api/v1/orders: pushing, reading, and their ids. Stats, walk-in sales and states are in test_order_stats.py."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.fixtures.answers import counts, good, pages, refused, walk
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

Body = dict[str, Any]
URL = "/api/v1/orders"


def url(external_id: str, source: str = "shop") -> str:
    """Everything encoded, dots too: an HTTP client folds ``/./`` and ``/../`` away."""
    return f"{URL}/{source}/{quote(external_id, safe='').replace('.', '%2E')}"


async def push(client: httpx.AsyncClient, body: Body, external_id: str = "1", /, **changes: Any) -> Body:
    answer = await client.put(url(external_id), json={**body, **changes})
    assert answer.status_code in {200, 201}, answer.text
    out: Body = answer.json()
    assert answer.headers["etag"] == f'"{out["version"]}"'
    assert (answer.status_code == 201) == (out["result"] == "created")
    return out


def stored(pushed: Body) -> Body:
    """What a read answers after that push."""
    return {name: value for name, value in pushed.items() if name not in {"result", "stale"}}


async def test_what_is_pushed_is_read_again(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    pushed = await push(ingest, {**order_body, "placed_at": "2026-01-31T13:00:00.123456+01:00", "note": "n"})
    assert (pushed["result"], pushed["stale"], pushed["version"]) == ("created", False, 1)
    blank = dict.fromkeys(("company", "line2", "region", "postal_code", "phone"))
    expected = {
        **order_body,
        "source": "shop",
        "external_id": "1",
        "placed_at": "2026-01-31T12:00:00.123000Z",
        "note": "n",
        "tax": "0.00",
        "items": [
            {**order_body["items"][0], "total": "10.20"},
            {**order_body["items"][1], "discount": "0.00", "tax": "0.00", "total": "3.00"},
        ],
        "shipping_address": {**blank, **order_body["shipping_address"]},
        "billing_address": None,
    }
    del expected["customer"]
    assert {name: pushed[name] for name in expected} == expected
    for path in (url("1"), f"{URL}/{pushed['id']}"):
        read = await sales.get(path)
        assert good(read) == stored(pushed)
        assert read.headers["etag"] == '"1"'
    assert good(await sales.get(f"/api/v1/customers/{pushed['customer_id']}"))["email"] == "ann@example.com"


def reversed_members(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_members(value[key]) for key in reversed(value)}
    return [reversed_members(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "again",
    [
        lambda body: body,
        reversed_members,
        lambda body: {**body, "shipping": "2.990", "discount": "1", "tax": "0.00"},
        lambda body: {**body, "billing_address": None, "note": None},
        lambda body: {**body, "placed_at": "2026-01-31T14:00:00.0004+02:00"},
    ],
    ids=["same", "other member order", "other zeros", "explicit nulls", "other offset"],
)
async def test_the_same_content_again_changes_nothing(again: Any, ingest: httpx.AsyncClient, order_body: Body) -> None:
    first = await push(ingest, order_body)
    second = await push(ingest, again(order_body))
    assert second == {**first, "result": "unchanged"}


@pytest.mark.parametrize(
    "change",
    [{"status": "fulfilled"}, {"number": "1002"}, {"note": "x"}, {"shipping_address": None},
     {"placed_at": "2026-01-31T12:00:01Z"}, {"tax": "1.00", "total": "16.19"},
     {"customer": {"email": "bob@example.com"}}, {"source_updated_at": "2026-02-01T00:00:00Z"},
     {"source_updated_at": None}],
)  # fmt: skip
async def test_other_content_replaces(
    change: Body, ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    first = await push(ingest, order_body)
    second = await push(ingest, order_body, **change)
    assert (second["id"], second["version"], second["result"]) == (first["id"], 2, "updated")
    assert second["created_at"] == first["created_at"]
    assert datetime.fromisoformat(second["updated_at"]) > datetime.fromisoformat(first["updated_at"])
    assert good(await sales.get(url("1"))) == stored(second)
    assert (second["customer_id"] != first["customer_id"]) == ("customer" in change)


async def test_what_a_push_leaves_out_is_gone(ingest: httpx.AsyncClient, order_body: Body) -> None:
    await push(ingest, order_body, note="x")
    fewer = {name: order_body[name] for name in ("currency", "placed_at", "items")}
    changed = await push(ingest, {**fewer, "total": "13.20"})
    for name in ("number", "note", "shipping_address"):
        assert changed[name] is None
    # But for the version: an older push must not come after.
    assert changed["source_updated_at"] == order_body["source_updated_at"]
    assert (changed["status"], changed["shipping"], changed["total"]) == ("pending", "0.00", "13.20")


async def test_an_older_push_never_replaces_a_newer_one(ingest: httpx.AsyncClient, order_body: Body) -> None:
    newer = await push(ingest, order_body, source_updated_at="2026-02-02T00:00:00Z", note="newer")
    older = await push(ingest, order_body, source_updated_at="2026-02-01T23:59:59.999Z", note="older")
    assert older == {**newer, "result": "stale", "stale": True}
    same_time = await push(ingest, order_body, source_updated_at="2026-02-02T01:00:00+01:00", note="same time")
    assert (same_time["result"], same_time["note"]) == ("updated", "same time")


async def test_in_whatever_order_they_arrive_the_newest_stays(ingest: httpx.AsyncClient, order_body: Body) -> None:
    def version(n: int) -> Body:
        return {**order_body, "source_updated_at": f"2026-02-{n + 1:02}T00:00:00Z", "note": str(n)}

    answers = await asyncio.gather(*[push(ingest, version((n * 7) % 16)) for n in range(16)])
    assert Counter(a["result"] for a in answers)["created"] == 1
    assert good(await ingest.get(url("1")))["note"] == "15"
    assert {a["result"] for a in answers} <= {"created", "updated", "stale"}


async def test_concurrent_identical_pushes_make_one_order(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    answers = await asyncio.gather(*[push(ingest, order_body) for _ in range(32)])
    assert Counter(a["result"] for a in answers) == {"created": 1, "unchanged": 31}
    assert len({a["id"] for a in answers}) == 1
    assert {a["version"] for a in answers} == {1}
    found = counts(store)
    assert (found["orders"], found["customers"]) == (1, 1)
    stats = good(await sales.get(f"/api/v1/customers/{answers[0]['customer_id']}"))["stats"]
    assert stats["orders_count"] == 1
    assert stats["totals"][0]["gross"] == "15.19"


IDS = [
    "1", "a/b", "a%2Fb", "a%252Fb", "a//b", "/a", "a/", "//a", "a//", "/orders/", ".", "..", "a/../b", "./a", "a.",
    "a b", " a ", "a?b=c", "?", "#1", "100%", "%", "%zz", "%00", "a+b", "a;b", "a&b=c", "a:b@c", "a\\b", "a\nb", "a\tb",
    '"', "'", "<b>", "{id}", "*", "~", "é", "e\u0301", "日本語", "ß", "SS", "А", "A", "\u200b", "\u202e1", "😀",
    "👩‍👩‍👧",
    "x" * 200, "😀" * 200, "refunds", "null",
]  # fmt: skip


async def test_ids_of_other_systems_are_kept_to_the_letter(
    ingest: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    for number, external_id in enumerate(IDS):
        pushed = await push(ingest, order_body, external_id, number=f"n{number}")
        assert (pushed["external_id"], pushed["result"]) == (external_id, "created")
    for number, external_id in enumerate(IDS):
        read = good(await ingest.get(url(external_id)))
        assert (read["external_id"], read["number"]) == (external_id, f"n{number}")
        again = await push(ingest, order_body, external_id, number=f"n{number}")
        assert again["result"] == "unchanged"
    assert {row["external_id"] for row in store.root["orders"].find({})} == set(IDS)
    # Unencoded slashes are as good as encoded ones, and a query is no part of the id.
    assert good(await ingest.get(f"{URL}/shop/a/b"))["external_id"] == "a/b"
    assert good(await ingest.get(f"{URL}/shop/a//b"))["external_id"] == "a//b"
    assert good(await ingest.get(f"{URL}/shop/a/"))["external_id"] == "a/"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("shop/%00", 422), ("shop/" + "x" * 201, 422), ("shop/%FF", 400), ("shop/%ED%A0%80", 400),
        ("sh%2Fop/1", 400), ("/shop/1", 400), ("-shop/1", 400), ("sh op/1", 400), ("s" * 65 + "/1", 400),
        ("%24ne/1", 400), ("caf%C3%A9/1", 400), ("shop", 405), ("shop/", 405),
    ],
)  # fmt: skip
async def test_a_path_that_names_no_order_is_refused(
    path: str, status: int, ingest: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    before = counts(store)
    code = {405: "method_not_allowed", 422: "invalid_input", 400: "unreadable_request"}[status]
    refused(await ingest.put(f"{URL}/{path}", json=order_body), status, code)
    assert counts(store) == before


async def test_unknown_orders_are_404(ingest: httpx.AsyncClient, order_body: Body) -> None:
    pushed = await push(ingest, order_body)
    for path in (f"{URL}/ord_0", f"{URL}/%00", url("2"), url("1", "pos"), url(pushed["id"])):
        refused(await ingest.get(path), 404, "not_found")
    refused(await ingest.patch(f"{URL}/ord_0", json={"version": 1}), 404, "not_found")


@pytest.mark.parametrize(
    ("currency", "price", "total", "shown"),
    [
        ("JPY", "1500", "3000", "3000"),
        ("JPY", "1500.0", "3000.00", "3000"),
        ("KWD", "0.125", "0.25", "0.250"),
        ("GBP", "0.01", "0.02", "0.02"),
        ("USD", "499999999999.99", "999999999999.98", "999999999999.98"),
        ("GBP", "0", "0", "0.00"),
    ],
)
async def test_amounts_have_the_decimals_of_their_currency(
    currency: str, price: str, total: str, shown: str, ingest: httpx.AsyncClient, order_body: Body
) -> None:
    item = {"sku": "A", "title": "A", "quantity": 2, "unit_price": price}
    body = {**order_body, "currency": currency, "items": [item], "shipping": "0", "discount": "0", "total": total}
    pushed = await push(ingest, body)
    assert (pushed["total"], pushed["items"][0]["total"]) == (shown, shown)
    stats = good(await ingest.get(f"/api/v1/customers/{pushed['customer_id']}"))["stats"]
    nothing = shown.translate(str.maketrans("123456789", "000000000"))[len(shown.split(".")[0]) - 1 :]
    assert stats["totals"] == [{"currency": currency, "gross": shown, "refunded": nothing, "net": shown}]


async def test_lists(ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body) -> None:
    async def placed(external_id: str, day: int, **changes: Any) -> Body:
        return await push(ingest, order_body, external_id, **{"placed_at": f"2026-01-{day:02}T00:00:00Z", **changes})

    bob = {"email": "bob@example.com"}
    a = await placed("a", 1)
    b = await placed("b", 2, status="cancelled", number="N-1")
    c = await placed("c", 2, customer=bob, number="N-1")
    d = await placed("d", 3, customer=None, number="#1002")
    ids = {name: order["id"] for name, order in {"a": a, "b": b, "c": c, "d": d}.items()}
    same_day = "".join(sorted("bc", key=lambda name: ids[name], reverse=True))
    for params, expected in (
        ({}, "d" + same_day + "a"),
        ({"sort": "-placed_at"}, "d" + same_day + "a"),
        ({"sort": "placed_at"}, "a" + same_day[::-1] + "d"),
        ({"customer_id": a["customer_id"]}, "ba"),
        ({"customer_id": c["customer_id"]}, "c"),
        ({"customer_id": "cus_nobody"}, ""),
        ({"status": "cancelled"}, "b"),
        ({"status": "refunded"}, ""),
        ({"attached": "false"}, "d"),
        ({"number": "N-1"}, same_day),
        ({"number": "#N-1"}, same_day),
        ({"number": "1001"}, "a"),
        ({"number": "#1001"}, "a"),
        ({"number": "#1002"}, "d"),
        ({"number": "1002"}, "d"),
        ({"number": "#"}, ""),
        ({"placed_after": "2026-01-02T00:00:00Z"}, "d" + same_day),
        ({"placed_before": "2026-01-02T00:00:00Z"}, "a"),
        ({"placed_after": "2026-01-01T00:00:00.001Z", "placed_before": "2026-01-03T01:00:00+01:00"}, same_day),
        ({"customer_id": a["customer_id"], "placed_after": "2026-01-02T00:00:00Z"}, "b"),
        ({"status": "paid", "placed_before": "2026-01-02T00:00:00Z", "sort": "placed_at"}, "a"),
        ({"attached": "false", "placed_before": "2026-01-03T00:00:00Z"}, ""),
        ({"number": "N-1", "placed_after": "2026-01-03T00:00:00Z"}, ""),
    ):
        for limit in (1, 2, 50):
            found = await walk(sales, URL, limit=limit, **params)
            assert found == [ids[name] for name in expected], params
        count = good(await sales.get(URL, params={**params, "count": "true"}))
        assert (count["count"], count["count_capped"]) == (len(expected), False)
    assert await walk(sales, f"/api/v1/customers/{a['customer_id']}/orders", limit=1) == [ids["b"], ids["a"]]
    assert [len(page) for page in await pages(sales, URL, limit=3)] == [3, 1]


@pytest.mark.parametrize(
    "query",
    ["attached=true", "attached=maybe", "status=nope", "status=leak%40example.com", "customer_id=a&status=paid",
     "number=1&attached=false", "sort=total", "sort=-source_updated_at", "placed_after=2026-01-01",
     "placed_after=2026-01-01T00:00:00", "placed_after=1767225600", "placed_after=0001-01-01T00:00:00Z",
     "placed_before=9999-12-31T23:59:59-23:59", "placed_before=leak%40example.com", "placed_after[$gt]=x", "total=1"],
)  # fmt: skip
async def test_a_list_that_no_index_serves_or_nobody_understands_is_400(query: str, sales: httpx.AsyncClient) -> None:
    body = refused(await sales.get(f"{URL}?{query}"), 400, "unreadable_request")
    assert "leak" not in json.dumps(body)


async def test_the_analyst_sees_orders_without_addresses(
    ingest: httpx.AsyncClient, analyst: httpx.AsyncClient, order_body: Body
) -> None:
    pushed = await push(ingest, order_body, note="Ring at Ann's")
    hidden = {"shipping_address": None, "billing_address": None, "note": None}
    for path in (url("1"), f"{URL}/{pushed['id']}"):
        assert good(await analyst.get(path)) == {**stored(pushed), **hidden}
    assert [len(page) for page in await pages(analyst, URL, status="paid")] == [1]
