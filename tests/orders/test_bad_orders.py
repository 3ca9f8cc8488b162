"""Bad orders: each gets the right refusal, stores nothing, and is repeated neither in the answer nor in the log."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.fixtures.answers import JSON, MARKER, Bad, good, refused
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

URL = "/api/v1/orders/shop/1"
INJECTED = {"$ne": None, "x": MARKER}
FUTURE = (datetime.now(UTC) + timedelta(hours=1)).isoformat()  # read when this module is: minutes before the test runs
MISSING = object()
#: Stands in a body for a token that json.dumps would not write.
RAW = "@@"


@pytest.fixture
def bad(ingest: httpx.AsyncClient, store: Store, caplog: pytest.LogCaptureFixture) -> Bad:
    return Bad(ingest, store, caplog)


@pytest.fixture
def marked(order_body: dict[str, Any]) -> dict[str, Any]:
    """A good order with the marker wherever a person's data stands."""
    order_body["customer"] = {"external_id": MARKER, "email": MARKER, "first_name": MARKER, "last_name": MARKER}
    order_body["shipping_address"]["name"] = MARKER
    order_body["note"] = MARKER
    return order_body


def changed(body: dict[str, Any], pointer: str, value: Any) -> dict[str, Any]:
    """The body with another value at a JSON pointer."""
    out = copy.deepcopy(body)
    *path, last = pointer.split("/")[1:]
    at: Any = out
    for step in path:
        at = at[int(step)] if isinstance(at, list) else at[step]
    if value is MISSING:
        del at[last]
    elif isinstance(at, list):
        at[int(last)] = value
    else:
        at[last] = value
    return out


def many(size: int) -> list[dict[str, Any]]:
    return [{"sku": "A", "title": MARKER, "quantity": 1, "unit_price": "0"}] * size


NOT_TEXT: list[Any] = [5, True, None, ["x"], INJECTED]
NOT_AMOUNTS: list[Any] = [
    4.5, 4, None, True, [], INJECTED, {"$numberDecimal": "1"}, "", "-1", "-0", "+1", "1e3", " 1", "1 ", "1\n", "1,50",
    ".5", "5.", "0x10", "NaN", "Infinity", "१२", "１２", "1_000", "1" * 13, "1" * 35, "1.00000", MARKER,
    "1\x00", "1" * 1_000_000,
]  # fmt: skip
NOT_TIMES: list[Any] = [
    "2026-01-31T12:00:00", "2026-01-31", "2026-02-30T12:00:00Z", "2026-01-31T24:00:01Z", "2026-01-31T12:00:60Z",
    "2026-01-31T12:00:00+99:00", "2026-W05-6T12:00:00Z", "20260131T120000Z", "1767225600", 1767225600, 1767225600.5,
    "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59",
    "10000-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "2200-01-01T00:00:00Z", "now", "", MARKER, True, INJECTED, [],
    "２０２６-01-31T12:00:00Z", "2026-01-31T12:00:00 Z", "2026-01-31T12:00:00Z\x00",
]  # fmt: skip

# Pointer of what is changed, and the values that are wrong there; the error points to the same place.
WRONG: dict[str, list[Any]] = {
    "/customer": [5, "x", MARKER, [], [INJECTED], {}, {"first_name": MARKER}],
    "/customer/id": [5, INJECTED, MARKER, "", "cus_", "cus_\x00", "cus_0123456789"],
    "/customer/external_id": [5, INJECTED, "", MARKER * 20, "\x00"],
    "/customer/email": [5, INJECTED, [MARKER], "", "leak", "leak@", "leak@localhost", f"{MARKER}\x00", MARKER * 2,
                        "leak leak@example.com", f"{MARKER},{MARKER}", "x" * 1_000_000],
    "/customer/phone": [5, INJECTED, "", "no", "+", "12", "1" * 41, "123\x00"],
    "/customer/first_name": [5, INJECTED, "", MARKER * 20, "\x00"],
    "/customer/emial": [MARKER],
    "/currency": [*NOT_TEXT, MISSING, "", "gbp", "XYZ", "XXX", "GB", "GBPX", "GBP\n", MARKER],
    "/placed_at": [*NOT_TIMES, None, MISSING, FUTURE],
    "/source_updated_at": NOT_TIMES,
    "/status": [*NOT_TEXT, "", "PAID", "shipped", MARKER],
    "/number": [5, INJECTED, "", "1" * 101, "\x00"],
    "/items": [MISSING, None, [], {}, MARKER, INJECTED, many(1001), many(10_000)],
    "/items/0": [None, 5, MARKER, []],
    "/items/0/sku": [*NOT_TEXT, MISSING, "", "1" * 101, "\x00"],
    "/items/0/title": [*NOT_TEXT, MISSING, "", MARKER * 20, "\x00"],
    "/items/0/quantity": [MISSING, None, "1", True, [], INJECTED, 0, -1, 1.5, 2.0, 1_000_001, 2**63, 2**64, 10**30],
    "/items/0/unit_price": [*NOT_AMOUNTS, MISSING],
    "/items/0/discount": NOT_AMOUNTS,
    "/items/1/tax": NOT_AMOUNTS,
    "/items/1/total": ["3.00"],
    "/shipping": NOT_AMOUNTS,
    "/tax": NOT_AMOUNTS,
    "/total": [*NOT_AMOUNTS, MISSING, "15.18", "15.20", "0"],
    "/shipping_address": [5, MARKER, [], {}],
    "/shipping_address/line1": [5, INJECTED, "", MARKER * 20],
    "/shipping_address/country": [5, INJECTED, "", "gb", "UK", "ZZ", MARKER],
    "/shipping_address/phone": [5, "no"],
    "/shipping_address/postal_code": ["", "1" * 21],
    "/shipping_address/zip": [MARKER],
    "/billing_address": [{"name": None}, {}, MARKER],
    "/note": [5, INJECTED, "n" * 10_001, "n" * 1_000_000, "\x00"],
    "/customer_id": [MARKER],
    "/$set": [INJECTED],
    "/_id": ["ord_1"],
    "/version": [1],
}  # fmt: skip


@pytest.mark.parametrize("pointer", WRONG)
async def test_a_wrong_field_is_named(pointer: str, bad: Bad, marked: dict[str, Any]) -> None:
    for value in WRONG[pointer]:
        answer = await bad.send("PUT", URL, changed(marked, pointer, value))
        refused(answer, 422, "invalid_input", pointer)


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"/items/0/unit_price": "4.505"}, "/items/0/unit_price", "invalid_amount"),
        ({"/items/1/tax": "0.001"}, "/items/1/tax", "invalid_amount"),
        ({"/total": "15.1900", "/shipping": "2.9999"}, "/shipping", "invalid_amount"),
        ({"/currency": "JPY"}, "/items/0/unit_price", "invalid_amount"),
        ({"/items/0/discount": "9.01"}, "/items/0/discount", "invalid_input"),
        ({"/discount": "100.00", "/total": "0"}, "/total", "invalid_input"),
        ({"/items/0/quantity": 1_000_000, "/items/0/unit_price": "999999999999.99"}, "/total", "invalid_input"),
    ],
)
async def test_amounts_that_do_not_fit_or_add_up(
    changes: dict[str, Any], pointer: str, code: str, bad: Bad, marked: dict[str, Any]
) -> None:
    for at, value in changes.items():
        marked = changed(marked, at, value)
    refused(await bad.send("PUT", URL, marked), 422, code, pointer)


async def test_all_wrong_fields_are_named_at_once(bad: Bad, marked: dict[str, Any]) -> None:
    pointers = ("/currency", "/items/0/sku", "/items/1/quantity", "/customer/email", "/oops")
    for pointer in pointers:
        marked = changed(marked, pointer, INJECTED)
    refused(await bad.send("PUT", URL, marked), 422, "invalid_input", *pointers)


UNREADABLE: dict[str, str] = {
    "NaN": "NaN", "Infinity": "Infinity", "-Infinity": "-Infinity", "1e400": "1e400", "-1e400": "-1e400",
    "half a pair of surrogates": '"\\ud800"', "the other half": '"\\udc00x"', "2,000 lists": "[" * 2000 + "]" * 2000,
    "2,000 objects": '{"a":' * 2000 + "1" + "}" * 2000, "100,000 open lists": "[" * 100_000, "control": '"\x01"',
    "octal": "012", "hex": "0x10", "single quotes": "'x'", "comment": "/* */ 1", "trailing comma": "[1,]",
}  # fmt: skip


@pytest.mark.parametrize("token", UNREADABLE)
@pytest.mark.parametrize("pointer", ["/total", "/items/0/quantity", "/oops"])
async def test_what_is_no_json_is_unreadable(token: str, pointer: str, bad: Bad, marked: dict[str, Any]) -> None:
    text = json.dumps(changed(marked, pointer, RAW)).replace(f'"{RAW}"', UNREADABLE[token])
    refused(await bad.send("PUT", URL, text), 400, "unreadable_request")


async def test_a_body_that_is_cut_off_or_garbled_is_unreadable(bad: Bad, marked: dict[str, Any]) -> None:
    whole = json.dumps(marked).encode()
    bodies = [
        whole[:-1], whole[: len(whole) // 2], whole[:1], whole + b"}", whole + whole, b"\xef\xbb\xbf" + whole,
        whole.replace(b"leak", b"leak\xff"), whole.replace(b"leak", b"leak\xed\xa0\x80"),
        whole.decode().encode("utf-16"), b"\x00" * 100, b"\xff\xfe", b" ", MARKER.encode(),
    ]  # fmt: skip
    for body in bodies:
        refused(await bad.send("PUT", URL, body), 400, "unreadable_request")


@pytest.mark.parametrize("body", ["", "null", "true", "1", '"leak"', "[]", '["leak"]', '[{"leak": 1}]'])
async def test_a_body_that_is_no_object_is_refused(body: str, bad: Bad) -> None:
    refused(await bad.send("PUT", URL, body), 422, "invalid_input", "")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "",
     "application/jsonx", "application/json+x", "json", "text/plain; application/json", MARKER],
)  # fmt: skip
async def test_another_content_type_is_refused(content_type: str, bad: Bad, marked: dict[str, Any]) -> None:
    answer = await bad.send("PUT", URL, marked, {"Content-Type": content_type})
    refused(answer, 415, "unsupported_media_type")
    refused(await bad.send("PUT", URL, json.dumps(marked).encode(), {}), 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", " application/json "])
async def test_json_may_be_named_in_its_other_ways(
    content_type: str, ingest: httpx.AsyncClient, order_body: dict[str, Any]
) -> None:
    answer = await ingest.put(URL, content=json.dumps(order_body), headers={"Content-Type": content_type})
    good(answer, 201)


async def test_a_body_over_the_limit_is_refused(bad: Bad, marked: dict[str, Any]) -> None:
    limit = bad.store.settings.max_body_bytes
    padding = b" " * limit

    async def without_length() -> AsyncIterator[bytes]:
        yield json.dumps(marked).encode()
        for _ in range(5):
            yield padding[: limit // 4]

    for body in (json.dumps(marked).encode() + padding, without_length()):
        answer = await bad.send("PUT", URL, body)
        refused(answer, 413, "payload_too_large")


async def test_operators_in_the_query_find_nothing_and_nobody(bad: Bad) -> None:
    for query in (f"customer_id[$ne]={MARKER}", f"number[$regex]={MARKER}", f"$where={MARKER}", f"{MARKER}=1"):
        answer = await bad.send("GET", f"/api/v1/orders?{query}", b"", {})
        refused(answer, 400, "unreadable_request")


async def test_the_good_order_of_these_tests_is_good(ingest: httpx.AsyncClient, marked: dict[str, Any]) -> None:
    """Otherwise the refusals above would prove nothing."""
    assert good(await ingest.put(URL, content=json.dumps(marked), headers=JSON), 201)["note"] == MARKER
