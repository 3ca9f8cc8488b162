"""/api/v1/customers: one customer at a time. Lists are in test_customer_lists.py."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import httpx
import pytest

from crm.clock import now
from tests.fixtures.answers import counts, good, refused
from tests.fixtures.store import KEPT, Store, totals_settled

pytestmark = pytest.mark.mongo

URL = "/api/v1/customers"
CONSENT = {"channel": "email", "status": "granted", "at": "2026-01-02T03:04:05+01:00", "source": "checkout"}
FULL: dict[str, Any] = {
    "email": " Ann@Example.com ",
    "phone": "+44 1632 960123",
    "first_name": "Ann",
    "last_name": "Müller",
    "addresses": [
        {"kind": "billing", "line1": "1 High Street", "city": "Leeds", "postal_code": "LS1 4AP", "country": "GB"}
    ],
    "tags": ["vip"],
    "attributes": {"tier": "gold", "points": 12, "ratio": 0.5, "b2b": False},
    "external_ids": [{"source": "shop", "id": "c/1"}],
    "consents": [CONSENT],
}


async def made(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = good(await client.post(URL, json=fields), 201)
    return body


async def patched(client: httpx.AsyncClient, customer: dict[str, Any], **fields: Any) -> httpx.Response:
    return await client.patch(f"{URL}/{customer['id']}", json=fields, headers={"If-Match": f'"{customer["version"]}"'})


async def test_what_is_created_is_read_again(sales: httpx.AsyncClient) -> None:
    answer = await sales.post(URL, json=FULL)
    body = good(answer, 201)
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["location"] == f"{URL}/{body['id']}"
    blank = dict.fromkeys(("name", "company", "line2", "region", "postal_code", "phone"))
    assert body == {
        **FULL,
        "id": body["id"],
        "former_ids": [],
        "version": 1,
        "email": "Ann@Example.com",
        "addresses": [{**blank, **FULL["addresses"][0]}],
        "consents": [{**CONSENT, "at": "2026-01-02T02:04:05Z", "wording": None}],
        "unverified": [],
        "stats": {"orders_count": 0, "first_order_at": None, "last_order_at": None, "last_seen_at": None, "totals": []},
        "created_at": body["created_at"],
        "updated_at": body["created_at"],
    }
    read = await sales.get(answer.headers["location"])
    assert good(read) == body
    assert read.headers["etag"] == '"1"'


@pytest.mark.parametrize("blank", [" ", "\t\u00a0", "\u200b"])
async def test_a_name_that_nobody_can_read_is_none(
    blank: str, sales: httpx.AsyncClient, ingest: httpx.AsyncClient, store: Store, order_body: dict[str, Any]
) -> None:
    refused(await sales.post(URL, json={"first_name": blank, "last_name": blank}), 422, "invalid_input", "")
    assert store.root["customers"].count_documents({}) == 0
    customer = await made(sales, first_name=" Ann ", last_name=blank)
    assert (customer["first_name"], customer["last_name"]) == ("Ann", None)
    whose = {"email": "bob@example.com", "first_name": blank, "last_name": " Example"}
    order = good(await ingest.put("/api/v1/orders/shop/1", json={**order_body, "customer": whose}), 201)
    known = good(await sales.get(f"{URL}/{order['customer_id']}"))
    assert (known["first_name"], known["last_name"]) == (None, "Example")
    changed = good(await patched(sales, known, first_name="Bob", last_name=blank))
    assert (changed["first_name"], changed["last_name"]) == ("Bob", None)


async def test_unknown_ids_are_404(sales: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    for wrong in ("cus_0", "nobody", "%00", "%F0%9F%98%80", "x" * 500):
        refused(await sales.get(f"{URL}/{wrong}"), 404, "not_found")
        refused(await sales.patch(f"{URL}/{wrong}", json={"version": 1, "tags": []}), 404, "not_found")
        refused(await sales.post(f"{URL}/{wrong}/consents", json=CONSENT), 404, "not_found")
        refused(await sales.get(f"{URL}/{wrong}/orders"), 404, "not_found")
        refused(await sales.get(f"{URL}/{wrong}/timeline"), 404, "not_found")
        refused(await admin.delete(f"{URL}/{wrong}"), 404, "not_found")


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("case", "Ann@Example.com", "aNN@eXAMPLE.COM"),
        ("spaces around", "ann@example.com", "  ann@example.com\t"),
        ("IDNA", "ann@bücher.example", "ANN@XN--BCHER-KVA.example"),
        ("IDNA case", "ann@BÜCHER.example", "ann@bücher.example"),
        ("full width", "ａｎｎ@example.com", "ann@example.com"),
        ("composed and decomposed", "ren\u00e9@example.com", "rene\u0301@example.com"),
        ("sharp s in the local part", "strasse@example.com", "STRAßE@example.com"),
        ("Greek final sigma", "νίκος@example.com", "ΝΊΚΟΣ@example.com"),
    ],
)
async def test_an_email_belongs_to_one_customer_however_it_is_spelled(
    name: str, first: str, second: str, sales: httpx.AsyncClient, store: Store
) -> None:
    await made(sales, email=first)
    other = await made(sales, last_name="Other")
    before = counts(store)
    refused(await sales.post(URL, json={"email": second}), 409, "already_exists", "/email")
    refused(await patched(sales, other, email=second), 409, "already_exists", "/email")
    assert counts(store) == before
    assert good(await sales.get(f"{URL}/{other['id']}")) == other
    assert [c["email"] for c in good(await sales.get(URL, params={"email": second}))["items"]] == [first]


async def test_an_external_id_belongs_to_one_customer(sales: httpx.AsyncClient) -> None:
    await made(sales, external_ids=[{"source": "shop", "id": "1"}, {"source": "pos", "id": "A"}])
    other = await made(sales, external_ids=[{"source": "pos", "id": "1"}, {"source": "shop", "id": "a"}])
    taken = {"external_ids": [{"source": "new", "id": "1"}, {"source": "pos", "id": "A"}]}
    refused(await sales.post(URL, json=taken), 409, "already_exists", "/external_ids")
    refused(await patched(sales, other, **taken), 409, "already_exists", "/external_ids")
    # Other sources' ids, and ids that differ in case, are other people's.
    good(await patched(sales, other, external_ids=[{"source": "new", "id": "1"}, {"source": "shop", "id": "A"}]))


async def test_customers_without_email_do_not_collide(sales: httpx.AsyncClient, store: Store) -> None:
    for _ in range(3):
        await made(sales, phone="+44 1632 960123")
    assert store.root["customers"].count_documents({}) == 3


@pytest.mark.parametrize(
    "headers",
    [{"If-Match": '"1"'}, {"If-Match": 'W/"1"'}, {"If-Match": "1"}, {}],
    ids=["ETag", "weak", "bare", "in the body"],
)
async def test_a_change_says_its_version(headers: dict[str, str], sales: httpx.AsyncClient) -> None:
    customer = await made(sales, **FULL)
    body: dict[str, Any] = {"first_name": "Anna"} if headers else {"first_name": "Anna", "version": 1}
    answer = await sales.patch(f"{URL}/{customer['id']}", json=body, headers=headers)
    changed = good(answer)
    assert answer.headers["etag"] == '"2"'
    assert changed == {**customer, "first_name": "Anna", "version": 2, "updated_at": changed["updated_at"]}
    assert datetime.fromisoformat(changed["updated_at"]) > datetime.fromisoformat(customer["updated_at"])


async def test_a_change_without_or_against_another_version_is_refused(sales: httpx.AsyncClient) -> None:
    customer = await made(sales, **FULL)
    url = f"{URL}/{customer['id']}"

    async def attempt(body: dict[str, Any], **headers: str) -> httpx.Response:
        return await sales.patch(url, json={"first_name": "Eve", **body}, headers=headers)

    refused(await attempt({}), 428, "version_required")
    refused(await attempt({"version": None}), 428, "version_required")
    refused(await attempt({"version": 2}), 412, "stale_version")
    refused(await attempt({}, **{"If-Match": '"7"'}), 412, "stale_version")
    refused(await attempt({"version": 1}, **{"If-Match": '"2"'}), 412, "stale_version")
    refused(await attempt({"version": 2}, **{"If-Match": '"1"'}), 412, "stale_version")
    for wrong in ("*", "", "abc", '"1", "2"', '"-1"', "1.0", '"' + "9" * 20 + '"', "१"):
        header = {"If-Match": wrong.encode()}
        answer = await sales.patch(url, json={"first_name": "Eve"}, headers=header)  # type: ignore[arg-type]
        refused(answer, 400, "unreadable_request")
    assert good(await sales.get(url)) == customer
    good(await attempt({"version": 1}, **{"If-Match": '"1"'}))
    refused(await attempt({"version": 1}), 412, "stale_version")


@pytest.mark.parametrize(
    ("patch", "after"),
    [
        ({}, {}),
        ({"first_name": None}, {"first_name": None}),
        ({"last_name": "Z"}, {"last_name": "Z"}),
        ({"phone": None}, {"phone": None}),
        ({"email": None}, {"email": None}),
        ({"tags": ["a", "b"]}, {"tags": ["a", "b"]}),
        ({"tags": None, "addresses": None, "external_ids": None}, {"tags": [], "addresses": [], "external_ids": []}),
        (
            {"attributes": {"tier": None, "points": 13, "new": "x"}},
            {"attributes": {"points": 13, "ratio": 0.5, "b2b": False, "new": "x"}},
        ),
        ({"attributes": {"absent": None}}, {}),
        ({"attributes": None}, {"attributes": {}}),
    ],
)
async def test_merge_patch(patch: dict[str, Any], after: dict[str, Any], sales: httpx.AsyncClient) -> None:
    customer = await made(sales, **FULL)
    headers = {"Content-Type": "application/merge-patch+json", "If-Match": '"1"'}
    answer = await sales.patch(f"{URL}/{customer['id']}", json=patch, headers=headers)
    changed = good(answer)
    assert changed == {**customer, **after, "version": 2, "updated_at": changed["updated_at"]}
    assert good(await sales.get(f"{URL}/{customer['id']}")) == changed


async def test_what_is_removed_is_gone_with_its_keys(sales: httpx.AsyncClient, store: Store) -> None:
    customer = await made(sales, **FULL)
    good(await patched(sales, customer, email=None, phone=None, last_name=None, external_ids=None))
    row = store.root["customers"].find_one({"_id": customer["id"]})
    assert row is not None
    assert not row.keys() & {"email", "email_key", "phone", "phone_key", "last_name", "last_name_key"}
    second = await made(sales, email="ann@example.com", external_ids=FULL["external_ids"])
    for params in ({"email": FULL["email"]}, {"external_source": "shop", "external_id": "c/1"}):
        assert [c["id"] for c in good(await sales.get(URL, params=params))["items"]] == [second["id"]]
    assert good(await sales.get(URL, params={"last_name": "mul"}))["items"] == []


async def test_one_of_two_concurrent_changes_is_stale(sales: httpx.AsyncClient) -> None:
    customer = await made(sales, **FULL)
    answers = await asyncio.gather(*[patched(sales, customer, attributes={f"k{n}": n}) for n in range(16)])
    assert sorted(a.status_code for a in answers) == [200] + [412] * 15
    winner = next(a.json() for a in answers if a.status_code == 200)
    assert good(await sales.get(f"{URL}/{customer['id']}")) == winner
    assert winner["version"] == 2


async def test_consents_are_a_ledger(sales: httpx.AsyncClient) -> None:
    customer = await made(sales, last_name="Example")
    given = [
        {**CONSENT, "wording": "Send me offers."},
        {**CONSENT, "status": "withdrawn", "at": "2026-02-01T00:00:00Z"},
        {**CONSENT, "channel": "sms"},
        CONSENT,
        CONSENT,
    ]
    for number, consent in enumerate(given):
        answer = await sales.post(f"{URL}/{customer['id']}/consents", json=consent)
        body = good(answer, 201)
        assert body["version"] == number + 2
        assert answer.headers["etag"] == f'"{number + 2}"'
    kept = good(await sales.get(f"{URL}/{customer['id']}"))["consents"]
    assert [(c["channel"], c["status"], c["wording"]) for c in kept] == [
        (c["channel"], c["status"], c.get("wording")) for c in given
    ]
    # No patch reaches them.
    answer = await patched(sales, {**customer, "version": len(given) + 1}, consents=[])
    refused(answer, 422, "invalid_input", "/consents")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("last_name", "ﷺ" * 200),  # 18 letters each, once it is decomposed
        ("last_name", "\u0301"),  # nothing is left of its key
        ("last_name", "$where"),
        ("first_name", "'; drop table customers; --"),
        ("first_name", "\u202egnihtemos"),
        ("phone", "+49 12345 678901234567"),  # possible to the library, longer than E.164
        ("phone", "000000000000"),
        ("phone", "１２３４５"),
        ("phone", "call me: 12345"),
    ],
)
async def test_odd_text_is_kept_to_the_letter(field: str, text: str, sales: httpx.AsyncClient) -> None:
    customer = await made(sales, **{"email": "odd@example.com", field: text})
    assert customer[field] == text
    again = good(await patched(sales, customer, **{field: text}))
    assert again[field] == text


async def test_the_analyst_sees_no_personal_data(sales: httpx.AsyncClient, analyst: httpx.AsyncClient) -> None:
    secret = {**FULL, "consents": [{**CONSENT, "wording": "Dear Ann"}]}
    customer = await made(sales, **secret)
    for url in (f"{URL}/{customer['id']}", URL, f"{URL}?tag=vip", f"{URL}?count=true"):
        answer = await analyst.get(url)
        good(answer)
        for personal in ("nn@", "Ann", "ller", "960123", "High Street", "Leeds", "gold", "c/1", "Dear"):
            assert personal not in answer.text
    seen = good(await analyst.get(f"{URL}/{customer['id']}"))
    assert seen["tags"] == ["vip"]
    assert seen["stats"] == customer["stats"]
    assert [(c["channel"], c["status"]) for c in seen["consents"]] == [("email", "granted")]


@pytest.mark.parametrize(
    "params",
    [{"email": "ann@example.com"}, {"phone": "+441632960123"}, {"last_name": "m"},
     {"external_source": "shop", "external_id": "c/1"}],
)  # fmt: skip
async def test_the_analyst_may_not_search_by_person(params: dict[str, str], analyst: httpx.AsyncClient) -> None:
    refused(await analyst.get(URL, params=params), 403, "forbidden")


async def test_deleting_keeps_the_books_and_nothing_of_the_person(
    admin: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: dict[str, Any], store: Store
) -> None:
    url = "/api/v1/orders/shop/"
    order = good(await ingest.put(url + "1", json={**order_body, "note": "Ring twice"}), 201)
    others = {**order_body, "customer": {"email": "bob@example.com"}, "note": "Bob's"}
    kept = good(await ingest.put(url + "2", json=others), 201)
    customer_id = order["customer_id"]
    for owner in (customer_id, kept["customer_id"]):
        event = {"source": "web", "type": "page", "occurred_at": "2026-01-01T00:00:00Z", "customer": {"id": owner}}
        good(await ingest.post("/api/v1/events", json={"events": [{**event, "message_id": owner}]}))
        talk = {"customer_id": owner, "kind": "note", "body": "Likes mugs"}
        good(await admin.post("/api/v1/interactions", json=talk), 201)

    answer = await admin.delete(f"{URL}/{customer_id}")

    assert (answer.status_code, answer.content) == (204, b"")
    # Activity of whoever stays is told when there is time; failed sign-ins of other tests are counted when they end.
    not_looked_at = {*KEPT, "activities", "sign_in_failures"}
    kept_ones = {name: count for name, count in counts(store).items() if count and name not in not_looked_at}
    # Of the identities, that they were erased: nothing is to be taken up of them again.
    expected = {"customers": 1, "orders": 2, "events": 1, "interactions": 1, "identities": 2, "erasures": 1}
    assert kept_ones == expected
    for identity in store.root["identities"].find():
        assert identity.keys() == {"_id", "kind", "links", "traits", "erased_at", "created_at"}
    left = good(await admin.get(f"/api/v1/orders/{order['id']}"))
    gone = dict.fromkeys(("customer_id", "billing_address", "note"))
    gone["shipping_address"] = dict.fromkeys(order["shipping_address"]) | {"country": "GB"}
    assert left == {**order_without_result(order), **gone, "version": 2, "updated_at": left["updated_at"]}
    assert good(await admin.get(f"/api/v1/orders/{kept['id']}"))["note"] == "Bob's"
    for gone_url in (f"{URL}/{customer_id}", f"{URL}/{customer_id}/timeline", f"{URL}/{customer_id}/orders"):
        refused(await admin.get(gone_url), 404, "not_found")
    refused(await admin.delete(f"{URL}/{customer_id}"), 404, "not_found")
    await made(admin, email="ANN@example.com", external_ids=[{"source": "shop", "id": "c-1"}])


async def test_deleting_waits_for_somebody_else_who_writes(admin: httpx.AsyncClient, store: Store) -> None:
    customer = await made(admin, **FULL)
    with store.root.client.start_session() as session:
        session.start_transaction()
        touched = {"$set": {"first_name": "Anna"}}
        store.root["customers"].update_one({"_id": customer["id"]}, touched, session=session)
        deleting = asyncio.create_task(admin.delete(f"{URL}/{customer['id']}"))
        done, _ = await asyncio.wait([deleting], timeout=0.5)
        assert not done, "the write conflict was not waited out"
        session.abort_transaction()
    assert (await deleting).status_code == 204


async def test_orders_that_arrive_while_a_customer_is_deleted_belong_to_somebody_or_nobody(
    admin: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: dict[str, Any], store: Store
) -> None:
    async def push(number: int) -> httpx.Response:
        # Placed when it is sent: what is older than the erasure would be nobody's.
        return await ingest.put(f"/api/v1/orders/shop/{number}", json={**order_body, "placed_at": now().isoformat()})

    for first in range(0, 40, 10):
        customer_id = good(await push(first), 201)["customer_id"]
        pushes = [push(number) for number in range(first + 1, first + 10)]
        answers = await asyncio.gather(*pushes[:4], admin.delete(f"{URL}/{customer_id}"), *pushes[4:])
        assert {answer.status_code for answer in answers} == {201, 204}
    await totals_settled(store)
    known = {row["_id"] for row in store.root["customers"].find({})}
    orders = list(store.root["orders"].find({}))
    assert len(orders) == 40
    assert {row["customer_id"] for row in orders if "customer_id" in row} <= known
    for customer_id in known:
        counted = good(await admin.get(f"{URL}/{customer_id}"))["stats"]["orders_count"]
        assert counted == sum(row.get("customer_id") == customer_id for row in orders)


def order_without_result(order: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in order.items() if name not in {"result", "stale"}}


async def test_only_an_admin_deletes(
    sales: httpx.AsyncClient, analyst: httpx.AsyncClient, ingest: httpx.AsyncClient, tracking: httpx.AsyncClient
) -> None:
    customer = await made(sales, **FULL)
    for client in (sales, analyst, ingest, tracking):
        refused(await client.delete(f"{URL}/{customer['id']}"), 403, "forbidden")
    assert good(await sales.get(f"{URL}/{customer['id']}")) == customer
