"""Every list says what it allows: in its description, and in the refusal of anything else."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from litestar import Litestar

from crm.database.paging import Listings
from crm.web.lists import declared_listings
from tests.fixtures.answers import good, refused
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
#: Of lists that cannot do without.
REQUIRED = {
    "/api/v1/orders/reconcile": {"source": "shop"},
    "/api/v1/order-changes": {"order_id": "ord_1"},
}
#: A value that a filter takes, where not any text will do.
VALUES = {
    "email": "ann@example.com",
    "phone": "+44 1632 960123",
    "attached": "false",
    "action": "customer.read",
    "mentions": "product:TEA",
}


def _of(route: Any) -> Any:
    return getattr(route, "route_handlers", ())


def described(app: Litestar) -> dict[str, Listings]:
    """Path → what its list allows."""
    handlers = {handler.operation_id: handler for route in app.routes for handler in _of(route)}
    found = {}
    for path, operations in app.openapi_schema.to_schema()["paths"].items():
        handler = handlers.get(operations.get("get", {}).get("operationId"))
        if handler and (listings := declared_listings(handler)):
            found[path] = listings
    return found


@pytest.fixture
async def document(anonymous: httpx.AsyncClient) -> dict[str, Any]:
    answer: dict[str, Any] = good(await anonymous.get("/api/openapi.json"))
    return answer


async def test_every_list_has_a_table_of_filters_and_orders(app: Litestar, document: dict[str, Any]) -> None:
    paged = {
        path
        for path, operations in document["paths"].items()
        if "sort" in {p["name"] for p in operations.get("get", {}).get("parameters", ())}
    }
    assert paged == described(app).keys(), "a list declares what it allows: opt=lists(ACCESS, service.LISTINGS)"
    for path in paged:
        operation = document["paths"][path]["get"]
        table = [row for row in operation["description"].splitlines() if row.startswith("| ")]
        assert len(table) > 2, path
        parameters = {p["name"]: p["schema"] for p in operation["parameters"]}
        for row in table[2:]:
            filters, orders = row.strip("| ").split(" | ")
            assert set(re.findall("`([a-z_]+)`", filters)) <= parameters.keys(), row
            assert set(re.findall("`(-?[a-z_]+)`", orders)) <= set(parameters["sort"]["enum"]), row


async def test_the_tables_of_two_lists(document: dict[str, Any]) -> None:
    customers = document["paths"]["/api/v1/customers"]["get"]["description"]
    assert "| none | `-created_at`, `created_at`, `updated_at`, `-updated_at` |" in customers
    assert "| `external_id` + `external_source` | `-created_at`, `created_at` |" in customers
    assert "| `field.<name>` | `-created_at`, `created_at` |" in customers
    assert "| `q` alone | the best first, on one page |" in customers
    orders = document["paths"]["/api/v1/customers/{customer_id}/orders"]["get"]["description"]
    assert re.findall(r"^\| (?!filters|---)(.*) \|$", orders, re.MULTILINE) == ["none | `-placed_at`, `placed_at`"]


async def test_what_is_described_is_answered_and_any_other_order_refused_with_these_named(
    app: Litestar, admin: httpx.AsyncClient, store: Store
) -> None:
    customer = good(await admin.post("/api/v1/customers", json={"email": "ann@example.com"}), 201)["id"]
    operations = app.openapi_schema.to_schema()["paths"]
    for path, listings in described(app).items():
        parameters = {p["name"]: p for p in operations[path]["get"]["parameters"]}
        exported = "/exports/" in path
        url, required = path.format(customer_id=customer), dict(REQUIRED.get(path.replace("/exports", ""), {}))
        required |= {"format": "csv"} if exported else {}
        refusal = refused(await admin.get(url, params={**required, "sort": "nonsense"}), 400, "unreadable_request")
        assert listings.describe() in refusal["detail"], path
        if exported or path == "/api/v1/order-changes":
            continue  # as its list; of no order there is no list at all
        names = {where: {n for n, p in parameters.items() if p["in"] == where} for where in ("path", "query")}
        for listing in listings.reachable(names["path"], names["query"]):
            own = listing.filters - names["path"] - required.keys()
            given = required | {name: _value(name, parameters[name]["schema"]) for name in own}
            for sort in listing.all_sorts():
                good(await admin.get(url, params={**given, "sort": sort}))


def _value(name: str, schema: dict[str, Any]) -> str:
    allowed = [one["enum"] for one in (schema, *schema.get("oneOf", ())) if "enum" in one]
    return VALUES.get(name) or (str(allowed[0][0]) if allowed else "cus_1")


@pytest.mark.parametrize("query", ["orders?attached=null", "orders?status=Null", "audit?action=NULL"])
async def test_null_is_no_way_to_leave_a_filter_out(query: str, admin: httpx.AsyncClient) -> None:
    refused(await admin.get(f"/api/v1/{query}"), 400, "unreadable_request", query.partition("?")[2].partition("=")[0])


async def test_null_is_a_text_like_any_other(admin: httpx.AsyncClient) -> None:
    assert good(await admin.get("/api/v1/customers?last_name=Null"))["items"] == []
