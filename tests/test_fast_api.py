"""Routes, services and documents on mongomock, over HTTP: creating, reading and changing, and who may ask.

One store and one sign-in for the whole module: argon2 takes its time. Every test uses names of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar

from crm.app import create_app
from crm.auth import service as auth
from crm.auth.schemas import UserCreate
from crm.config import Settings
from crm.customers import service as customers
from crm.customers.schemas import CustomerRef
from crm.database.driver import Database, acting_as
from crm.identity import SYSTEM, Role
from tests.fixtures.api import PASSWORD, client_of, running
from tests.fixtures.fake import on_mongomock

pytestmark = pytest.mark.fast

Json = dict[str, Any]


@pytest_asyncio.fixture(scope="module")
async def mock() -> Database:
    """As ``fake_database``, for the whole module; nobody acts on it yet."""
    return await on_mongomock()


@pytest_asyncio.fixture(scope="module")
async def api(mock: Database) -> AsyncIterator[Litestar]:
    settings = Settings(
        mongodb_uri="mongodb://nowhere.test",
        jwt_secret=secrets.token_urlsafe(48),
        erasure_key=secrets.token_urlsafe(48),
    )
    async with running(create_app(settings, database=mock)) as app:
        yield app


@pytest_asyncio.fixture(scope="module")
async def token(api: Litestar, mock: Database) -> str:
    """One member of staff, signed in over HTTP."""
    with acting_as(mock, Role.ADMIN):
        new = {"email": "Ada@Example.com", "name": "Ada", "role": "admin", "password": PASSWORD}
        await auth.add_user(SYSTEM, UserCreate.model_validate(new))
    async with client_of(api) as client:
        answer = await client.post("/api/v1/auth/token", data={"username": "ada@EXAMPLE.com", "password": PASSWORD})
    body = answer.raise_for_status().json()
    assert (body["token_type"], body["expires_in"]) == ("bearer", 1800)
    return str(body["access_token"])


@pytest_asyncio.fixture(scope="module")
async def ada(api: Litestar, token: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(api, Authorization=f"Bearer {token}") as client:
        yield client


async def created(client: httpx.AsyncClient, **fields: Any) -> Json:
    answer = await client.post("/api/v1/customers", json=fields)
    assert answer.status_code == 201, answer.text
    body: Json = answer.json()
    return body


# -- signing in


async def test_who_is_signed_in(ada: httpx.AsyncClient) -> None:
    body = (await ada.get("/api/v1/auth/me")).json()
    assert (body["role"], body["name"], body["kind"]) == ("admin", "Ada", "user")


async def test_without_credentials_or_with_wrong_ones_nobody_gets_in(api: Litestar, token: str) -> None:
    async with client_of(api) as client:
        for authorization in (None, "Bearer nonsense", f"Bearer {token}x", f"Basic {token}", "Bearer crm_ingest_guess"):
            headers = {} if authorization is None else {"Authorization": authorization}
            answer = await client.get("/api/v1/customers", headers=headers)
            assert answer.status_code == 401, authorization
            assert answer.headers["www-authenticate"] == "Bearer"
        form = {"username": "ada@example.com", "password": "wrong"}
        answer = await client.post("/api/v1/auth/token", data=form)
        assert (answer.status_code, answer.json()["code"]) == (401, "wrong_credentials")


async def test_a_key_works_until_it_is_revoked(api: Litestar, mock: Database) -> None:
    with acting_as(mock, Role.ADMIN):
        key = await auth.add_key(SYSTEM, "ingest", "shop")
    async with client_of(api, Authorization=f"Bearer {key.key}") as shop:
        body = (await shop.get("/api/v1/auth/me")).json()
        assert (body["role"], body["kind"], body["name"]) == ("ingest", "key", "shop")
        assert (await shop.delete("/api/v1/customers/cus_1")).status_code == 403
        with acting_as(mock, Role.ADMIN):
            await auth.revoke_key(SYSTEM, key.id)
        assert (await shop.get("/api/v1/auth/me")).status_code == 401


async def test_every_answer_carries_the_id_of_its_request(ada: httpx.AsyncClient) -> None:
    assert (await ada.get("/health/live", headers={"X-Request-Id": "mine-1"})).headers["x-request-id"] == "mine-1"
    for theirs in ("a b", "x" * 65, "<script>"):
        given = (await ada.get("/health/live", headers={"X-Request-Id": theirs})).headers["x-request-id"]
        assert given != theirs
        assert len(given) == 26


# -- customers


async def test_a_customer_from_creation_to_change(ada: httpx.AsyncClient) -> None:
    answer = await ada.post("/api/v1/customers", json={"email": " Grace@Example.com", "last_name": "Hopper"})
    customer = answer.json()
    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    assert answer.headers["location"] == f"/api/v1/customers/{customer['id']}"
    assert (customer["email"], customer["phone"], customer["stats"]["orders_count"]) == ("Grace@Example.com", None, 0)

    url = answer.headers["location"]
    assert (await ada.get(url)).json() == customer

    patch = {"tags": ["vip"], "attributes": {"size": "M"}, "last_name": None}
    changed = await ada.patch(url, json=patch, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    body = changed.json()
    assert (body["tags"], body["attributes"], body["last_name"]) == (["vip"], {"size": "M"}, None)
    assert body["email"] == customer["email"]
    assert (await ada.get(url)).json() == body


async def test_a_change_needs_the_present_version(ada: httpx.AsyncClient) -> None:
    url = f"/api/v1/customers/{(await created(ada, first_name='Versioned'))['id']}"
    for headers, body, status in (
        ({}, {"tags": ["a"]}, 428),
        ({"If-Match": '"2"'}, {"tags": ["a"]}, 412),
        ({"If-Match": "*"}, {"tags": ["a"]}, 400),
        ({"If-Match": '"1"'}, {"tags": ["a"], "version": 2}, 412),
        ({}, {"tags": ["a"], "version": 1}, 200),
        ({"If-Match": '"1"'}, {"tags": ["b"]}, 412),
    ):
        answer = await ada.patch(url, json=body, headers=headers)
        assert answer.status_code == status, (headers, body)
    assert (await ada.get(url)).json()["tags"] == ["a"]


async def test_there_is_one_customer_for_each_address(ada: httpx.AsyncClient) -> None:
    await created(ada, email="dup@example.com")
    answer = await ada.post("/api/v1/customers", json={"email": "DUP@example.com"})
    # Which field it is mongomock does not say; the real server does.
    assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")
    assert "dup" not in answer.text.lower()


async def test_changing_to_an_address_that_is_taken_is_refused(ada: httpx.AsyncClient) -> None:
    await created(ada, email="taken@example.com")
    other = await created(ada, email="free@example.com")
    answer = await ada.patch(
        f"/api/v1/customers/{other['id']}", json={"email": "Taken@example.com"}, headers={"If-Match": '"1"'}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")


async def test_lists_page_by_page(ada: httpx.AsyncClient) -> None:
    ids = {(await created(ada, first_name=f"P{n}", tags=["paged"]))["id"] for n in range(5)}
    seen: list[str] = []
    url: str | None = "/api/v1/customers?tag=paged&limit=2"
    while url is not None:
        answer = await ada.get(url)
        seen += [item["id"] for item in answer.json()["items"]]
        url = answer.links["next"]["url"] if "next" in answer.links else None
        assert (url is None) is (answer.json()["next_cursor"] is None)
    assert len(seen) == 5
    assert set(seen) == ids
    first = (await ada.get("/api/v1/customers?tag=paged&sort=created_at&limit=5&count=true")).json()
    assert [item["id"] for item in first["items"]] == seen[::-1]
    assert (first["count"], first["count_capped"]) == (5, False)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("email=FINDME%40example.com", True),
        ("phone=%2B44%201632%20960999", True),
        ("last_name=muller-l", True),
        ("last_name=M%C3%9CLLER", True),
        ("external_source=shop&external_id=find/1", True),
        ("email=other%40example.com", False),
        ("last_name=uller", False),
        ("last_name=.*", False),
        ("external_source=other&external_id=find/1", False),
    ],
)
async def test_a_customer_is_found_however_it_is_spelled(
    ada: httpx.AsyncClient, mock: Database, filters: str, found: bool
) -> None:
    with acting_as(mock, Role.ADMIN):
        ref = CustomerRef(
            external_id="find/1", email="findme@example.com", phone="+44 1632 960999", last_name="Müller-Lüdenscheidt"
        )
        customer_id = await customers.resolve(SYSTEM, "shop", ref)
    answer = await ada.get(f"/api/v1/customers?{filters}")
    assert answer.status_code == 200, answer.text
    assert [item["id"] for item in answer.json()["items"]] == ([customer_id] if found else [])


@pytest.mark.parametrize(
    "path",
    [
        "customers/cus_none", "customers/cus_none/orders", "customers/cus_none/timeline", "orders/ord_none",
        "orders/shop/none", "products/none", "interactions/int_none", "nothing",
    ],
)  # fmt: skip
async def test_what_is_not_there_is_404(ada: httpx.AsyncClient, path: str) -> None:
    answer = await ada.get(f"/api/v1/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


# -- products, interactions, orders


async def test_a_product_is_put_and_put_again(ada: httpx.AsyncClient) -> None:
    url = "/api/v1/products/mug%2Fblue%20%C3%BC"
    body = {"title": "Mug", "price": {"amount": "4.5", "currency": "GBP"}, "attributes": {"ml": 300}}
    for change, status, result, version in (
        ({}, 201, "created", 1),
        ({}, 200, "unchanged", 1),
        ({"price": {"amount": "4.50", "currency": "GBP"}}, 200, "unchanged", 1),
        ({"title": "Blue mug"}, 200, "updated", 2),
        ({"title": "Blue mug", "price": None}, 200, "updated", 3),
    ):
        answer = await ada.put(url, json={**body, **change})
        assert (answer.status_code, answer.json()["result"], answer.json()["version"]) == (status, result, version)
    product = (await ada.get(url)).json()
    assert (product["sku"], product["title"], product["price"]) == ("mug/blue ü", "Blue mug", None)
    assert product["sku"] in [item["sku"] for item in (await ada.get("/api/v1/products")).json()["items"]]


async def test_an_interaction_is_noted_by_who_is_signed_in(ada: httpx.AsyncClient) -> None:
    customer = await created(ada, first_name="Talkative")
    new = {"customer_id": customer["id"], "kind": "call", "subject": "Where is it?", "direction": "inbound"}
    answer = await ada.post("/api/v1/interactions", json=new)
    noted = answer.json()
    assert (answer.status_code, noted["author_name"], noted["version"]) == (201, "Ada", 1)
    listed = (await ada.get(f"/api/v1/interactions?customer_id={customer['id']}")).json()
    assert listed["items"] == [noted]
    url = answer.headers["location"]
    changed = await ada.patch(url, json={"outcome": "On its way", "version": 1})
    assert (changed.status_code, changed.json()["outcome"]) == (200, "On its way")
    assert (await ada.patch(url, json={"outcome": "Lost", "version": 1})).status_code == 412
    assert (await ada.patch(url, json={"status": "open", "version": 2})).status_code == 422


async def test_a_task_is_its_authors_until_it_is_done(ada: httpx.AsyncClient) -> None:
    customer = await created(ada, first_name="Waiting")
    task = {"customer_id": customer["id"], "kind": "task", "subject": "Call back"}
    noted = (await ada.post("/api/v1/interactions", json=task)).json()
    mine = "/api/v1/interactions?assignee=me&status="
    assert noted["id"] in [item["id"] for item in (await ada.get(f"{mine}open")).json()["items"]]
    done = await ada.patch(f"/api/v1/interactions/{noted['id']}", json={"status": "done", "version": 1})
    assert done.status_code == 200
    assert noted["id"] not in [item["id"] for item in (await ada.get(f"{mine}open")).json()["items"]]
    assert noted["id"] in [item["id"] for item in (await ada.get(f"{mine}done")).json()["items"]]


async def test_an_interaction_with_nobody_is_refused(ada: httpx.AsyncClient) -> None:
    answer = await ada.post("/api/v1/interactions", json={"customer_id": "cus_none", "kind": "note", "body": "?"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/customer_id")


async def test_an_order_is_pushed_and_found_again(ada: httpx.AsyncClient, order_body: Json) -> None:
    body = {**deepcopy(order_body), "customer": {"external_id": "buyer-1", "email": "buyer@example.com"}}
    url = "/api/v1/orders/shop/2026%2F1"
    answer = await ada.put(url, json=body)
    order = answer.json()
    assert (answer.status_code, order["result"], order["external_id"]) == (201, "created", "2026/1")
    assert (order["total"], order["items"][0]["total"]) == ("15.19", "10.20")

    again = await ada.put(url, json=body)
    assert (again.status_code, again.json()["result"], again.json()["id"]) == (200, "unchanged", order["id"])

    fulfilled = {**body, "status": "fulfilled", "source_updated_at": "2026-02-01T00:00:00Z"}
    updated = (await ada.put(url, json=fulfilled)).json()
    assert (updated["result"], updated["version"], updated["status"]) == ("updated", 2, "fulfilled")
    late = (await ada.put(url, json=body)).json()
    assert (late["result"], late["stale"], late["status"]) == ("stale", True, "fulfilled")

    for where in (url, f"/api/v1/orders/{order['id']}"):
        found = (await ada.get(where)).json()
        assert (found["id"], found["version"]) == (order["id"], 2)
    of_customer = (await ada.get(f"/api/v1/customers/{order['customer_id']}/orders")).json()
    assert [item["id"] for item in of_customer["items"]] == [order["id"]]
    buyer = (await ada.get("/api/v1/customers?email=BUYER%40example.com")).json()["items"]
    assert [customer["id"] for customer in buyer] == [order["customer_id"]]


async def test_staff_move_an_order_only_where_its_state_allows(ada: httpx.AsyncClient, order_body: Json) -> None:
    order = (await ada.put("/api/v1/orders/shop/moves", json={**order_body, "customer": None})).json()
    url = f"/api/v1/orders/{order['id']}"
    assert (await ada.patch(url, json={"status": "pending", "version": 1})).status_code == 409
    moved = await ada.patch(url, json={"status": "refunded", "version": 1})
    assert (moved.status_code, moved.json()["status"]) == (200, "refunded")
    assert (await ada.patch(url, json={"customer_id": "cus_none", "version": 2})).status_code == 422


async def test_an_order_of_tomorrow_is_refused(ada: httpx.AsyncClient, order_body: Json) -> None:
    answer = await ada.put("/api/v1/orders/shop/future", json={**order_body, "placed_at": "2199-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/placed_at")
