"""/api/v1/products."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.fixtures.answers import good, refused, walk
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

Body = dict[str, Any]
URL = "/api/v1/products"
MUG: Body = {
    "title": "Mug",
    "description": "Holds tea.",
    "price": {"amount": "4.5", "currency": "GBP"},
    "category": "kitchen",
    "url": "https://shop.example/mug?a=1",
    "image_url": "http://shop.example/mug.png",
    "active": False,
    "attributes": {"colour": "red", "grams": 350},
}


def url(sku: str) -> str:
    return f"{URL}/{quote(sku, safe='').replace('.', '%2E')}"


async def put(client: httpx.AsyncClient, sku: str = "MUG", /, **body: Any) -> Body:
    answer = await client.put(url(sku), json=body)
    assert answer.status_code in {200, 201}, answer.text
    out: Body = answer.json()
    assert (answer.status_code == 201) == (out["result"] == "created")
    assert answer.headers["etag"] == f'"{out["version"]}"'
    return out


def stored(body: Body) -> Body:
    return {name: value for name, value in body.items() if name != "result"}


async def test_what_is_put_is_read_again(ingest: httpx.AsyncClient, sales: httpx.AsyncClient) -> None:
    body = await put(ingest, **MUG)
    assert stored(body) == {
        **MUG,
        "sku": "MUG",
        "version": 1,
        "price": {"amount": "4.50", "currency": "GBP"},
        "created_at": body["created_at"],
        "updated_at": body["created_at"],
    }
    answer = await sales.get(url("MUG"))
    assert (good(answer), answer.headers["etag"]) == (stored(body), '"1"')
    refused(await sales.get(url("mug")), 404, "not_found")


async def test_the_same_again_changes_nothing_and_other_content_replaces(ingest: httpx.AsyncClient) -> None:
    first = await put(ingest, **MUG)
    for same in (MUG, {**MUG, "price": {"currency": "GBP", "amount": "4.500"}}, dict(reversed(MUG.items()))):
        assert await put(ingest, **same) == {**first, "result": "unchanged"}
    second = await put(ingest, **{**MUG, "price": {"amount": "4.50", "currency": "USD"}})
    assert (second["result"], second["version"], second["price"]["currency"]) == ("updated", 2, "USD")
    assert second["created_at"] == first["created_at"]
    bare = await put(ingest, title="Mug")
    left_out = {"description": None, "price": None, "category": None, "url": None, "image_url": None}
    assert {name: bare[name] for name in left_out} == left_out
    assert (bare["active"], bare["attributes"], bare["version"]) == (True, {}, 3)
    assert (await put(ingest, title="Mug"))["result"] == "unchanged"


async def test_values_of_other_types_are_other_content(ingest: httpx.AsyncClient) -> None:
    for version, value in enumerate((1, True, 1.5, "1", 0, False), start=1):
        body = await put(ingest, title="Mug", attributes={"a": value})
        assert (body["version"], repr(body["attributes"]["a"])) == (version, repr(value))


async def test_concurrent_puts_make_one_product(ingest: httpx.AsyncClient, store: Store) -> None:
    answers = await asyncio.gather(*[put(ingest, **MUG) for _ in range(16)])
    assert Counter(a["result"] for a in answers) == {"created": 1, "unchanged": 15}
    assert store.root["products"].count_documents({}) == 1
    racing = await asyncio.gather(*[ingest.put(url("MUG"), json={**MUG, "title": f"Mug {n}"}) for n in range(4)])
    assert {a.status_code for a in racing} == {200}
    assert good(await ingest.get(url("MUG")))["version"] == 5


SKUS = [
    "A/1", "A%2F1", "A//1", "/A", "A/", ".", "..", "a b", "A?b", "#", "%", "é", "e\u0301", "日本", "😀", "x" * 100,
    "a;b",
]  # fmt: skip


async def test_skus_are_kept_to_the_letter(ingest: httpx.AsyncClient, store: Store) -> None:
    for sku in SKUS:
        assert (await put(ingest, sku, title=f"<{sku}>"))["sku"] == sku
    for sku in SKUS:
        assert good(await ingest.get(url(sku)))["title"] == f"<{sku}>"
    assert {row["_id"] for row in store.root["products"].find({})} == set(SKUS)


@pytest.mark.parametrize(("path", "status"), [("%00", 422), ("x" * 101, 422), ("%FF", 400)])
async def test_a_path_that_names_no_product_is_refused(path: str, status: int, ingest: httpx.AsyncClient) -> None:
    code = {400: "unreadable_request", 422: "invalid_input"}[status]
    refused(await ingest.put(f"{URL}/{path}", json=MUG), status, code)
    refused(await ingest.get(f"{URL}/{path}"), status, code)


@pytest.mark.parametrize(
    ("amount", "currency", "pointer", "code"),
    [
        ("4.505", "GBP", "/price/amount", "invalid_amount"),
        ("1.5", "JPY", "/price/amount", "invalid_amount"),
        ("-1", "GBP", "/price/amount", "invalid_input"),
        (4.5, "GBP", "/price/amount", "invalid_input"),
        ("4.50", "XXX", "/price/currency", "invalid_input"),
    ],
)
async def test_a_price_fits_its_currency(
    amount: Any, currency: str, pointer: str, code: str, ingest: httpx.AsyncClient, store: Store
) -> None:
    price = {"amount": amount, "currency": currency}
    refused(await ingest.put(url("A"), json={"title": "A", "price": price}), 422, code, pointer)
    assert store.root["products"].count_documents({}) == 0


@pytest.mark.parametrize(("amount", "currency", "shown"), [("1500", "JPY", "1500"), ("1", "KWD", "1.000")])
async def test_a_price_has_the_decimals_of_its_currency(
    amount: str, currency: str, shown: str, ingest: httpx.AsyncClient
) -> None:
    assert (await put(ingest, title="A", price={"amount": amount, "currency": currency}))["price"]["amount"] == shown


async def test_lists(ingest: httpx.AsyncClient, analyst: httpx.AsyncClient) -> None:
    for sku, category in (("b", "x"), ("a", "y"), ("c", "x"), ("B", None)):
        await put(ingest, sku, title="T", category=category)
    for params, expected in (
        ({}, ["B", "a", "b", "c"]),
        ({"sort": "-sku"}, ["c", "b", "a", "B"]),
        ({"sort": "updated_at"}, ["b", "a", "c", "B"]),
        ({"sort": "-updated_at"}, ["B", "c", "a", "b"]),
        ({"category": "x"}, ["b", "c"]),
        ({"category": "x", "sort": "-sku"}, ["c", "b"]),
        ({"category": "z"}, []),
    ):
        for limit in (1, 2, 4, 5):
            assert await walk(analyst, URL, key="sku", limit=limit, **params) == expected
        assert good(await analyst.get(URL, params={**params, "count": "true"}))["count"] == len(expected)
    for query in ("category=x&sort=updated_at", "sort=title", "sku=a", "category=x&category=y", "category="):
        refused(await analyst.get(f"{URL}?{query}"), 400, "unreadable_request")
