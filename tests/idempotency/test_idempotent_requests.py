"""Requests with an Idempotency-Key through the API: answered once, and once again to the letter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.fixtures.answers import JSON, MARKER, counts, good, refused
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

URL = "/api/v1/customers"
KEY = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
ANN = {"email": "ann@example.com", "last_name": "Müller"}
CONSENT = {"channel": "email", "status": "granted", "at": "2026-01-31T12:00:00Z", "source": "checkout"}
EVENT = {"source": "web", "message_id": "1", "type": "page", "anonymous_id": "a", "occurred_at": "2026-01-31T12:00:00Z"}


def replayed(answer: httpx.Response) -> bool:
    return "idempotency-replayed" in answer.headers


def same_answer(one: httpx.Response, other: httpx.Response) -> bool:
    """Equal in all that the client can see, but for the request's own id and the mark of a repeat."""
    passing = {"x-request-id", "idempotency-replayed"}
    first, second = ({k: v for k, v in a.headers.items() if k not in passing} for a in (one, other))
    return (one.status_code, one.content, first) == (other.status_code, other.content, second)


async def test_the_same_request_gets_the_same_answer(sales: httpx.AsyncClient, store: Store) -> None:
    first = await sales.post(URL, json=ANN, headers=KEY)
    body = good(first, 201)
    good(await sales.patch(f"{URL}/{body['id']}", json={"version": 1, "tags": ["vip"]}))
    again = await sales.post(URL, json=ANN, headers=KEY)
    assert same_answer(first, again)
    assert {"etag", "location", "content-type", "content-length"} <= first.headers.keys()
    assert (replayed(first), replayed(again)) == (False, True)
    assert counts(store)["customers"] == 1
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


@pytest.mark.parametrize("path", ["consents", "interactions", "events"])
async def test_every_route_that_creates_takes_a_key(path: str, admin: httpx.AsyncClient, store: Store) -> None:
    customer = good(await admin.post(URL, json=ANN), 201)["id"]
    url, body = {
        "consents": (f"{URL}/{customer}/consents", CONSENT),
        "interactions": ("/api/v1/interactions", {"customer_id": customer, "kind": "note", "body": "b"}),
        "events": ("/api/v1/events", {"events": [EVENT]}),
    }[path]
    first = await admin.post(url, json=body, headers=KEY)
    after = counts(store)
    again = await admin.post(url, json=body, headers=KEY)
    assert first.is_success
    assert same_answer(first, again)
    assert replayed(again)
    assert counts(store) == after
    assert len(good(await admin.get(f"{URL}/{customer}"))["consents"]) == (path == "consents")


async def test_without_a_key_each_request_stands_for_itself(sales: httpx.AsyncClient, store: Store) -> None:
    body = {"last_name": "Müller"}
    ids = {good(await sales.post(URL, json=body), 201)["id"] for _ in range(3)}
    assert len(ids) == 3
    assert counts(store)["idempotency_keys"] == 0


async def test_quoted_and_bare_are_the_same_key(sales: httpx.AsyncClient) -> None:
    first = await sales.post(URL, json=ANN, headers=KEY)
    again = await sales.post(URL, json=ANN, headers={"Idempotency-Key": KEY["Idempotency-Key"].strip('"')})
    assert same_answer(first, again)
    assert replayed(again)


async def test_another_content_is_refused(sales: httpx.AsyncClient, store: Store) -> None:
    good(await sales.post(URL, json=ANN, headers=KEY), 201)
    before = counts(store)
    other = await sales.post(URL, json={**ANN, "email": "bob@example.com"}, headers=KEY)
    refused(other, 422, "idempotency_key_reused")
    spelled = await sales.post(URL, json=ANN, headers={**KEY, "Content-Type": "application/merge-patch+json"})
    refused(spelled, 422, "idempotency_key_reused")
    assert counts(store) == before


async def test_a_key_is_one_callers_on_one_path(
    sales: httpx.AsyncClient, admin: httpx.AsyncClient, store: Store
) -> None:
    body = {"last_name": "Müller"}
    customers = [good(await client.post(URL, json=body, headers=KEY), 201)["id"] for client in (sales, admin)]
    assert len(set(customers)) == 2
    for customer in customers:
        told = good(await sales.post(f"{URL}/{customer}/consents", json=CONSENT, headers=KEY), 201)
        assert (told["id"], len(told["consents"])) == (customer, 1)
    assert counts(store)["idempotency_keys"] == 4


async def test_a_refused_request_gives_its_key_back(sales: httpx.AsyncClient, store: Store) -> None:
    for wrong in ({"email": "ann"}, {}, {**ANN, "x": 1}):
        for _ in range(2):
            refused(await sales.post(URL, json=wrong, headers=KEY), 422, "invalid_input")
    refused(await sales.post(URL, content=b"{", headers={**KEY, **JSON}), 400, "unreadable_request")
    taken = good(await sales.post(URL, json=ANN), 201)
    refused(await sales.post(URL, json=ANN, headers=KEY), 409, "already_exists")
    bob = await sales.post(URL, json={"email": "bob@example.com"}, headers=KEY)
    assert good(bob, 201)["id"] != taken["id"]
    assert same_answer(bob, await sales.post(URL, json={"email": "bob@example.com"}, headers=KEY))
    assert counts(store)["customers"] == 2


async def test_32_at_once_make_one_customer(sales: httpx.AsyncClient, store: Store) -> None:
    async def send() -> httpx.Response:
        return await sales.post(URL, json=ANN, headers=KEY)

    answers = await asyncio.gather(*(send() for _ in range(32)))
    first = [a for a in answers if a.status_code == 201 and not replayed(a)]
    repeats = [a for a in answers if replayed(a)]
    waiting = [a for a in answers if a.status_code == 409]
    assert (len(first), len(repeats) + len(waiting)) == (1, 31)
    assert all(same_answer(first[0], answer) for answer in repeats)
    for answer in waiting:
        refused(answer, 409, "request_in_progress")
        assert answer.headers["retry-after"] == "1"
    assert counts(store)["customers"] == 1
    assert same_answer(first[0], await send())


@pytest.mark.parametrize("key", ["", '""', "k" * 256, "a\tb", "a b", '"a', 'a"', "ключ".encode(), b"a\x00b"])
async def test_malformed_keys_are_named_and_store_nothing(
    key: str | bytes, sales: httpx.AsyncClient, store: Store
) -> None:
    value = key if isinstance(key, bytes) else key.encode()
    answer = await sales.post(URL, json=ANN, headers=[(b"Idempotency-Key", value)])
    refused(answer, 400, "unreadable_request", "Idempotency-Key")
    assert "x-request-id" in answer.headers
    assert counts(store)["customers"] == counts(store)["idempotency_keys"] == 0


async def test_several_keys_are_malformed(sales: httpx.AsyncClient, store: Store) -> None:
    for other in ("a", "b"):
        answer = await sales.post(URL, json=ANN, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", other)])
        refused(answer, 400, "unreadable_request", "Idempotency-Key")
    assert counts(store)["idempotency_keys"] == 0


@pytest.mark.parametrize("header", [KEY, {"Idempotency-Key": ""}])
async def test_who_may_not_leaves_no_record(
    header: dict[str, str],
    anonymous: httpx.AsyncClient,
    analyst: httpx.AsyncClient,
    tracking: httpx.AsyncClient,
    sales: httpx.AsyncClient,
    store: Store,
) -> None:
    signed_out = await anonymous.post(URL, json=ANN, headers=header)
    refused(signed_out, 401, "not_signed_in")
    assert signed_out.headers["www-authenticate"] == "Bearer"
    unknown = {**header, "Authorization": "Bearer crm_ingest_nobody"}
    refused(await anonymous.post(URL, json=ANN, headers=unknown), 401, "not_signed_in")
    refused(await analyst.post(URL, json=ANN, headers=header), 403, "forbidden")
    refused(await tracking.post(URL, json=ANN, headers=header), 403, "forbidden")
    refused(await sales.post(URL, content=b"x", headers=header), 415, "unsupported_media_type")
    refused(await sales.post(URL + "?x=1", json=ANN, headers=header), 400, "unreadable_request")
    assert counts(store)["idempotency_keys"] == 0


async def test_too_much_is_too_much_with_a_key_too(sales: httpx.AsyncClient, store: Store) -> None:
    body = b'{"last_name": "M"}' + b" " * store.settings.max_body_bytes

    async def drop_by_drop() -> Any:
        for start in range(0, len(body), 2**16):
            yield body[start : start + 2**16]

    for content in (body, drop_by_drop()):
        answer = await sales.post(URL, content=content, headers={**JSON, **KEY})
        refused(answer, 413, "payload_too_large")
    assert counts(store)["idempotency_keys"] == 0


async def test_other_routes_ignore_the_header(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, order_body: dict[str, Any], store: Store
) -> None:
    for header in (KEY, {"Idempotency-Key": '"'}):
        good(await admin.get(URL, headers=header))
        assert (await admin.put("/api/v1/orders/shop/1", json=order_body, headers=header)).is_success
        form = {"username": "nobody@example.com", "password": "x"}
        refused(await anonymous.post("/api/v1/auth/token", data=form, headers=header), 401, "wrong_credentials")
    assert counts(store)["idempotency_keys"] == 0


async def test_neither_the_key_nor_a_person_is_in_ids_and_logs(sales: httpx.AsyncClient, store: Store) -> None:
    header = {"Idempotency-Key": f"{MARKER}-key"}
    with capture_logs() as logs:
        for _ in range(2):
            assert (await sales.post(URL, json={"email": MARKER}, headers=header)).status_code == 201
        refused(await sales.post(URL, json={"email": f"x{MARKER}"}, headers=header), 422, "idempotency_key_reused")
    (record,) = store.root["idempotency_keys"].find({})
    assert logs
    assert MARKER.split("@")[0] not in repr(logs)
    assert f"{MARKER}-key" not in repr(record)
    assert MARKER not in repr({name: value for name, value in record.items() if name != "body"})


async def test_a_customer_who_is_deleted_is_in_no_kept_answer(admin: httpx.AsyncClient, store: Store) -> None:
    def post(url: str, body: Any) -> Any:
        return admin.post(url, json=body, headers=KEY)

    customer = good(await post(URL, ANN), 201)["id"]
    good(await post(f"{URL}/{customer}/consents", CONSENT), 201)
    good(await post("/api/v1/interactions", {"customer_id": customer, "kind": "note", "body": "b"}), 201)
    good(await post("/api/v1/events", {"events": [EVENT]}))
    other = good(await admin.post(URL, json={"last_name": "M"}, headers={"Idempotency-Key": "other"}), 201)["id"]
    assert counts(store)["idempotency_keys"] == 5
    assert (await admin.delete(f"{URL}/{customer}")).status_code == 204
    left = list(store.root["idempotency_keys"].find({}))
    assert sorted(str(row.get("customer_id")) for row in left) == sorted(["None", other])
    refused(await post(f"{URL}/{customer}/consents", CONSENT), 404, "not_found")


def test_records_are_forgotten_after_seven_days(store: Store) -> None:
    indexes = {index["name"]: index for index in store.root["idempotency_keys"].list_indexes()}
    kept = indexes["kept_for_7_days"]
    assert (dict(kept["key"]), kept["expireAfterSeconds"]) == ({"recorded_at": 1}, 7 * 24 * 3600)


async def test_a_forgotten_key_makes_another_thing_of_another_content(sales: httpx.AsyncClient, store: Store) -> None:
    """And of the same content the same thing: its id is derived, and never forgotten."""
    forget: Callable[[], Any] = lambda: store.root["idempotency_keys"].delete_many({})  # noqa: E731  said thrice
    first = good(await sales.post(URL, json={"last_name": "M"}, headers=KEY), 201)
    forget()
    other = good(await sales.post(URL, json={"last_name": "N"}, headers=KEY), 201)
    assert (other["last_name"], other["id"] != first["id"]) == ("N", True)
    forget()
    assert good(await sales.post(URL, json={"last_name": "M"}, headers=KEY), 201) == first
    assert counts(store)["customers"] == 2
