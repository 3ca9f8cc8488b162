"""Who may call what: a table of every operation, and what MongoDB itself refuses when a route is careless."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx
import pytest
from litestar import Litestar, delete, get
from litestar.params import FromPath

from crm.app import create_app
from crm.customers import service as customers
from crm.database.driver import Database
from crm.errors import OperatorError
from crm.identity import KEY_KINDS, STAFF_ROLES, Role
from crm.people import service as people
from crm.person import Person
from crm.web.access import allow
from crm.web.dependencies import Caller
from tests.fixtures.answers import good, refused
from tests.fixtures.api import client_of, running
from tests.fixtures.store import Store, totals_settled

pytestmark = pytest.mark.mongo

CALLERS: Final = (*STAFF_ROLES, *KEY_KINDS)
EVERYBODY: Final = "anonymous admin sales analyst ingest tracking"
#: Public, but a signature is the credential: whoever calls without one is refused, signed in or not.
SIGNED: Final = "whoever signs"
#: Public, but a write key is the credential: keys of both kinds are.
WITH_A_WRITE_KEY: Final = "whoever has a write key"
#: Every operation of the API, and who may call it. A new route fails until it has a row here.
ALLOWED: Final[dict[str, str]] = {
    "POST /api/v1/auth/token": EVERYBODY,
    "GET /api/v1/auth/colleagues": "admin sales",
    "GET /api/v1/auth/me": "admin sales analyst ingest tracking",
    "GET /api/v1/customers": "admin sales analyst ingest",
    "POST /api/v1/customers": "admin sales ingest",
    "GET /api/v1/customers/{customer_id}": "admin sales analyst ingest",
    "POST /api/v1/customers/bulk": "admin ingest",
    "PATCH /api/v1/customers/{customer_id}": "admin sales ingest",
    "DELETE /api/v1/customers/{customer_id}": "admin",
    "POST /api/v1/customers/{customer_id}/consents": "admin sales",
    "POST /api/v1/customers/{customer_id}/export": "admin",
    "POST /api/v1/customers/{customer_id}/erase": "admin",
    "GET /api/v1/erasures": "admin",
    "GET /api/v1/erasures/{erasure_id}": "admin",
    "GET /api/v1/customers/{customer_id}/changes": "admin sales",
    "POST /api/v1/customers/{customer_id}/reveal": "admin sales",
    "GET /api/v1/customers/{customer_id}/orders": "admin sales analyst ingest",
    "GET /api/v1/customers/{customer_id}/overview": "admin sales",
    "GET /api/v1/customers/{customer_id}/timeline": "admin sales",
    "GET /api/v1/customers/{customer_id}/activity": "admin sales",
    "POST /api/v1/customers/{customer_id}/merge-preview": "admin sales",
    "POST /api/v1/customers/{customer_id}/merge": "admin sales",
    "GET /api/v1/merges": "admin sales",
    "GET /api/v1/merges/{merge_id}": "admin sales",
    "POST /api/v1/merges/{merge_id}/undo": "admin sales",
    "GET /api/v1/duplicates": "admin sales",
    "POST /api/v1/duplicates/{pair_id}/dismiss": "admin sales",
    "GET /api/v1/carts": "admin sales",
    "GET /api/v1/custom-fields": "admin sales ingest",
    "POST /api/v1/custom-fields": "admin",
    "GET /api/v1/custom-fields/{name}": "admin sales ingest",
    "PATCH /api/v1/custom-fields/{name}": "admin",
    "DELETE /api/v1/custom-fields/{name}": "admin",
    "GET /api/v1/orders": "admin sales analyst ingest",
    "POST /api/v1/orders/bulk": "admin ingest",
    "GET /api/v1/orders/{order_id}": "admin sales analyst ingest",
    "PATCH /api/v1/orders/{order_id}": "admin ingest",
    "GET /api/v1/orders/{source}/{external_id}": "admin sales analyst ingest",
    "PUT /api/v1/orders/{source}/{external_id}": "admin ingest",
    "GET /api/v1/orders/reconcile": "admin ingest",
    "POST /api/v1/orders/{order_id}/refunds": "admin ingest",
    "GET /api/v1/order-changes": "admin sales",
    "GET /api/v1/products": "admin sales analyst ingest",
    "POST /api/v1/products/bulk": "admin ingest",
    "GET /api/v1/products/{sku}": "admin sales analyst ingest",
    "PUT /api/v1/products/{sku}": "admin ingest",
    "GET /api/v1/events": "admin sales analyst",
    "POST /api/v1/events/bulk": "admin ingest",
    "POST /api/v1/events": "admin ingest tracking",
    "GET /api/v1/events/rejects": "admin",
    "POST /api/v1/events/rejects/{reject_id}/replay": "admin",
    "POST /api/v1/events/rejects/replay": "admin",
    "GET /api/v1/interactions": "admin sales",
    "POST /api/v1/interactions": "admin sales",
    "GET /api/v1/interactions/{interaction_id}": "admin sales",
    "PATCH /api/v1/interactions/{interaction_id}": "admin sales",
    "DELETE /api/v1/interactions/{interaction_id}": "admin",
    "GET /api/v1/connections": "admin",
    "POST /api/v1/connections": "admin",
    "GET /api/v1/connections/{connection_id}": "admin",
    "PATCH /api/v1/connections/{connection_id}": "admin",
    "POST /api/v1/connections/{connection_id}/secrets": "admin",
    "DELETE /api/v1/connections/{connection_id}/secrets/{secret_id}": "admin",
    "GET /api/v1/inbox": "admin",
    "GET /api/v1/inbox/{delivery_id}": "admin",
    "DELETE /api/v1/inbox/{delivery_id}": "admin",
    "POST /api/v1/inbox/{delivery_id}/replay": "admin",
    "POST /api/v1/inbox/replay": "admin",
    "GET /api/v1/privacy-requests": "admin",
    "GET /api/v1/privacy-requests/{request_id}": "admin",
    "GET /api/v1/privacy-requests/{request_id}/export": "admin",
    "GET /api/v1/exports/auth/colleagues": "admin sales",
    "GET /api/v1/exports/custom-fields": "admin sales ingest",
    "GET /api/v1/exports/customers": "admin sales analyst ingest",
    "GET /api/v1/exports/customers/{customer_id}/orders": "admin sales analyst ingest",
    "GET /api/v1/exports/customers/{customer_id}/timeline": "admin sales",
    "GET /api/v1/exports/customers/{customer_id}/changes": "admin sales",
    "GET /api/v1/exports/carts": "admin sales",
    "GET /api/v1/exports/orders": "admin sales analyst ingest",
    "GET /api/v1/exports/orders/reconcile": "admin ingest",
    "GET /api/v1/exports/order-changes": "admin sales",
    "GET /api/v1/exports/products": "admin sales analyst ingest",
    "GET /api/v1/exports/events": "admin sales analyst",
    "GET /api/v1/exports/events/rejects": "admin",
    "GET /api/v1/exports/interactions": "admin sales",
    "GET /api/v1/exports/merges": "admin sales",
    "GET /api/v1/exports/duplicates": "admin sales",
    "GET /api/v1/exports/connections": "admin",
    "GET /api/v1/exports/inbox": "admin",
    "GET /api/v1/exports/privacy-requests": "admin",
    "GET /api/v1/exports/audit": "admin",
    "GET /api/v1/exports/erasures": "admin",
    "GET /api/v1/audit": "admin",
    "POST /webhooks/shopify/{connection}": SIGNED,
    "POST /webhooks/woocommerce/{connection}": SIGNED,
    "POST /v1/{call}": WITH_A_WRITE_KEY,
    "POST /beacon/v1/batch": WITH_A_WRITE_KEY,
    "POST /v1/m": EVERYBODY,
    "GET /v1/projects/{write_key}/settings": "a write key in the path",
    "GET /health/live": EVERYBODY,
    "HEAD /health/live": EVERYBODY,
    "GET /health/ready": EVERYBODY,
    "HEAD /health/ready": EVERYBODY,
}
#: PUT and GET for systems that call an order "refunds/…".
NAMED_REFUNDS: Final = "/api/v1/orders/{order_id}/refunds/{rest}"
#: Routes outside the description; public but for that one. Litestar insists on serving its own description, too.
UNDESCRIBED: Final = {
    "/metrics", "/api/docs", "/api/openapi.json", "/api/docs/assets/{file_path}",
    "/api/litestar", "/api/litestar/openapi.json", "/api/litestar/{path}",
    NAMED_REFUNDS,
}  # fmt: skip


async def test_the_table_has_every_operation(app: Litestar, anonymous: httpx.AsyncClient) -> None:
    document = good(await anonymous.get("/api/openapi.json"))
    described = {f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations}
    assert described == ALLOWED.keys()
    paths = {operation.split(" ")[1] for operation in ALLOWED}
    served = {route.path_format.replace(":str", "").replace(":path", "") for route in app.routes}
    assert served - paths - {"/api/docs/assets"} == UNDESCRIBED


@pytest.mark.parametrize("operation", ALLOWED)
async def test_only_these_roles_may(operation: str, app: Litestar, credentials: Mapping[str, str]) -> None:
    method, path = operation.split(" ")
    # /customers/customer_id is as good as any id.
    url = path.replace("{call}", "batch").replace("{", "").replace("}", "")
    content = b'{"batch": []}' if ALLOWED[operation] == WITH_A_WRITE_KEY else None
    for caller in EVERYBODY.split():
        headers = {} if caller == "anonymous" else {"Authorization": f"Bearer {credentials[caller]}"}
        async with client_of(app, **headers) as client:
            answer = await client.request(method, url, content=content)
        if ALLOWED[operation] == SIGNED:
            assert "signed with a secret" in refused(answer, 401, "not_signed_in")["detail"]
        elif ALLOWED[operation] == WITH_A_WRITE_KEY and caller in {"ingest", "tracking"}:
            good(answer)
        elif "write key" in ALLOWED[operation]:
            refused(answer, 401, "not_signed_in")
        elif caller in ALLOWED[operation].split():
            assert answer.status_code not in {401, 403}, f"{caller}: {answer.text}"
            assert answer.status_code < 500
        elif caller == "anonymous":
            refused(answer, 401, "not_signed_in")
            assert answer.headers["www-authenticate"] == "Bearer"
        else:
            # By the guard already, not only by MongoDB.
            assert "MongoDB" not in refused(answer, 403, "forbidden")["detail"]


async def test_what_is_not_described_is_public(anonymous: httpx.AsyncClient) -> None:
    for path in UNDESCRIBED - {NAMED_REFUNDS}:
        answer = await anonymous.get(path.replace("{file_path}", "swagger-ui.css").replace("{path}", "nothing"))
        assert answer.status_code == (404 if "{path}" in path else 200)


async def test_options_needs_no_credentials_and_says_nothing(anonymous: httpx.AsyncClient) -> None:
    for path, methods in (("customers", "GET, OPTIONS, POST"), ("customers/cus_1", "DELETE, GET, OPTIONS, PATCH")):
        answer = await anonymous.options(f"/api/v1/{path}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["allow"] == methods


@get("/silent")
async def silent() -> None:
    """A route that says nothing of who may call it."""


def test_an_app_with_a_route_that_declares_no_access_does_not_start(store: Store, database: Database) -> None:
    with pytest.raises(OperatorError, match="/api/v1/silent"):
        create_app(store.settings, database=database, extra_routes=[silent])


@delete("/careless/people/{customer_id:str}", opt=allow(Role.ADMIN, Role.SALES))
async def careless_person(principal: Caller, customer_id: FromPath[str]) -> None:
    """Open to sales by mistake."""
    await people.erase(principal, customer_id, "carelessness")


@delete("/careless/customers/{customer_id:str}", opt=allow(Role.ADMIN, Role.SALES))
async def careless_customer(customer_id: FromPath[str]) -> None:
    """Open to sales by mistake."""
    await customers.forget(Person(customers=frozenset([customer_id])))


def everything(store: Store) -> dict[str, list[dict[str, Any]]]:
    names = ("customers", "orders", "events", "interactions")
    return {name: list(store.root[name].find({}, sort=[("_id", 1)])) for name in names}


@pytest.mark.goes_around
@pytest.mark.parametrize("route", ["people", "customers"])
async def test_mongodb_refuses_what_a_careless_route_lets_through(
    route: str,
    store: Store,
    database: Database,
    credentials: Mapping[str, str],
    admin: httpx.AsyncClient,
    order_body: dict[str, Any],
) -> None:
    customer_id = good(await admin.put("/api/v1/orders/shop/1", json=order_body), 201)["customer_id"]
    event = {"source": "web", "message_id": "1", "type": "page", "occurred_at": "2026-01-01T00:00:00Z"}
    good(await admin.post("/api/v1/events", json={"events": [{**event, "customer": {"id": customer_id}}]}))
    good(await admin.post("/api/v1/interactions", json={"customer_id": customer_id, "kind": "note", "body": "b"}), 201)
    await totals_settled(store)
    before = everything(store)
    assert all(len(rows) == 1 for rows in before.values())
    careless = create_app(store.settings, database=database, extra_routes=[careless_person, careless_customer])
    url = f"/api/v1/careless/{route}/{customer_id}"
    async with running(careless):
        async with client_of(careless, Authorization=f"Bearer {credentials['sales']}") as sales:
            assert "MongoDB" in refused(await sales.delete(url), 403, "forbidden")["detail"]
            assert everything(store) == before
            assert good(await sales.get(f"/api/v1/customers/{customer_id}"))["email"] == "ann@example.com"
        async with client_of(careless, Authorization=f"Bearer {credentials['admin']}") as boss:
            assert (await boss.delete(url)).status_code == 204
            refused(await boss.get(f"/api/v1/customers/{customer_id}"), 404, "not_found")
    assert everything(store)["customers"] == []
