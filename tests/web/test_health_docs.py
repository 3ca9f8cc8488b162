"""/health, /metrics, the API's description and its page, request ids, and what is not there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from litestar import Litestar
from structlog.testing import capture_logs

import crm
from crm.app import create_app
from crm.contracts import contract
from crm.database.driver import Database
from crm.errors import Unavailable
from crm.web import health
from crm.web.health import Readiness
from tests.fixtures.answers import MARKER, good, refused
from tests.fixtures.api import client_of, running
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_a_healthy_service_says_so(path: str, anonymous: httpx.AsyncClient) -> None:
    assert good(await anonymous.get(path)) == {"status": "ok"}
    head = await anonymous.head(path)
    assert (head.status_code, head.content) == (200, b"")


async def test_readiness_names_what_drifted(store: Store, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_LOOK_AGAIN", 0.0)
    index = next(i for i in contract().indexes["customers"].index if i.name == "by_tag")
    app = create_app(store.settings, database=database)
    async with running(app), client_of(app) as client:
        store.root["customers"].drop_index("by_tag")
        try:
            answer = await client.get("/health/ready")
            body = good(answer, 503)
            head = await client.head("/health/ready")
            good(await client.get("/health/live"))
        finally:
            store.root["customers"].create_index(index.key_pattern(), name=index.name, **index.options())
        assert body["status"] == "drift"
        assert len(body["problems"]) == 1
        assert "by_tag" in body["problems"][0]
        assert int(answer.headers["retry-after"]) > 0
        assert (head.status_code, head.content) == (503, b"")
        # What was found is looked at again much sooner than after 30 s.
        assert good(await client.get("/health/ready")) == {"status": "ok"}


async def test_an_index_that_somebody_added_is_no_drift(store: Store, database: Database) -> None:
    app = create_app(store.settings, database=database)
    store.root["customers"].create_index("first_name", name="of_an_operator")
    try:
        async with running(app), client_of(app) as client:
            good(await client.get("/health/ready"))
    finally:
        store.root["customers"].drop_index("of_an_operator")


async def test_without_mongodb_it_is_alive_but_not_ready(app: Litestar, anonymous: httpx.AsyncClient) -> None:
    async def nothing_answers() -> None:
        raise Unavailable("The database cannot be reached at the moment.", retry_after=2)

    async def never_asked() -> list[str]:
        raise AssertionError("without a database there is nothing to compare")

    before, app.state.readiness = app.state.readiness, Readiness(nothing_answers, never_asked)
    try:
        answer = await anonymous.get("/health/ready")
        good(await anonymous.get("/health/live"))
    finally:
        app.state.readiness = before
    refused(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "2"


async def test_metrics_are_by_template_and_hold_no_ids(
    sales: httpx.AsyncClient, ingest: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    for path in (
        f"customers/{MARKER}",
        f"orders/{MARKER}",
        f"orders/shop/{MARKER}",
        f"customers?email={MARKER}",
        MARKER,
    ):
        await sales.get(f"/api/v1/{path}")
    await ingest.put(f"/api/v1/products/{MARKER}", json={"title": MARKER})
    await anonymous.get(f"/{MARKER}")
    text = (await anonymous.get("/metrics")).text
    assert "leak" not in text
    counted = {
        (m["method"], m["path"])
        for m in re.finditer(r'^crm_requests_total\{.*method="(?P<method>\w+)",path="(?P<path>[^"]+)"', text, re.M)
    }
    assert counted >= {
        ("GET", "/api/v1/customers/{customer_id}"),
        ("GET", "/api/v1/orders/{order_id}"),
        ("GET", "/api/v1/orders/{source}/{external_id}"),
        ("PUT", "/api/v1/products/{sku}"),
    }


class Links(HTMLParser):
    """What a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.loads += [value or "" for name, value in attrs if name in {"src", "href", "action", "data", "srcset"}]


async def test_the_docs_page_loads_nothing_from_elsewhere(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get("/api/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = Links()
    page.feed(answer.text)
    assert len(page.loads) == 3
    for path in page.loads:
        assert re.fullmatch(r"/(?!/).*", path)
        asset = await anonymous.get(path)
        assert asset.status_code == 200
        assert len(asset.content) > 100
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "http" not in answer.text
    assert '"/api/openapi.json"' in answer.text
    refused(await anonymous.get("/api/docs/assets/../../../app.py"), 404, "not_found")
    refused(await anonymous.get("/api/docs/assets/%2e%2e/%2e%2e/%2e%2e/app.py"), 404, "not_found")


def parts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from parts(item)


async def test_the_description_is_openapi_3_1(anonymous: httpx.AsyncClient) -> None:
    document = good(await anonymous.get("/api/openapi.json"))
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["version"] == crm.__version__
    names = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            names.append(operation["operationId"])
            assert operation["responses"], path
            in_path = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert in_path == set(re.findall(r"\{(\w+)\}", path))
            assert all(p["required"] for p in operation.get("parameters", []) if p["in"] == "path")
            without = operation["operationId"] in {"ExportCustomer", "ReplayDelivery", "ReplayRejectedMessage"}
            takes_a_body = method in {"post", "put", "patch"} and not without
            assert ("requestBody" in operation) == takes_a_body
    assert len(names) == len(set(names))
    for part in parts(document):
        if isinstance(part.get("$ref"), str):
            target: Any = document
            for step in part["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            assert isinstance(target, dict)
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", ["/health/live", "/api/v1/auth/me", "/api/v1/customers?limit=0", "/metrics"])
async def test_the_callers_request_id_is_echoed_and_logged(path: str, anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get(path, headers={"X-Request-ID": "Abc-1.2_3"})
    assert answer.headers.get_list("x-request-id") == ["Abc-1.2_3"]


@pytest.mark.parametrize("wrong", ["", "a b", "x" * 65, "é", "<script>", "a;b", "${jndi}"])
async def test_a_request_id_that_is_none_is_replaced(wrong: str, anonymous: httpx.AsyncClient) -> None:
    header = [(b"X-Request-ID", wrong.encode())]
    ids = {(await anonymous.get("/health/live", headers=header)).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(re.fullmatch(r"[0-9A-Z]{26}", request_id) for request_id in ids)


async def test_one_line_is_logged_of_a_request_and_nothing_of_its_content(sales: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        good(await sales.get("/api/v1/customers", params={"email": MARKER}))
        await sales.get(f"/api/v1/customers/{MARKER}")
    assert [(line["event"], line["route"], line["status"]) for line in logs] == [
        ("request", "/api/v1/customers", 200),
        ("request", "/api/v1/customers/{customer_id}", 404),
    ]
    assert all(line["principal"].startswith("usr_") for line in logs)
    assert "leak" not in json.dumps(logs)


async def test_what_is_not_there(anonymous: httpx.AsyncClient, sales: httpx.AsyncClient) -> None:
    for client in (anonymous, sales):
        for path in ("/", "/nope", f"/{MARKER}", "/api", "/api/v1", "/api/v2/customers", "/api/v1/nope", "/health"):
            answer = await client.get(path)
            refused(answer, 404, "not_found")
            assert "leak" not in answer.text
        for method, path in (
            ("DELETE", "/api/v1/customers"), ("PUT", "/api/v1/customers"), ("PATCH", "/api/v1/orders"),
            ("POST", "/api/v1/orders"), ("DELETE", "/api/v1/orders/ord_1"), ("POST", "/health/live"),
            ("GET", "/api/v1/auth/token"), ("TRACE", "/api/v1/customers"),
        ):  # fmt: skip
            answer = await client.request(method, path)
            refused(answer, 405, "method_not_allowed")
            allowed = set(answer.headers["allow"].replace(" ", "").split(","))
            assert allowed
            assert method not in allowed
