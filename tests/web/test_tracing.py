"""Traces: which spans there are and how they hang together, that nobody's data is in them, and that they are off."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
import pytest_asyncio
from litestar import get
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from structlog.testing import capture_logs

from crm.app import create_app
from crm.config import traces_wanted
from crm.database.driver import collection
from crm.errors import NotConfigured
from crm.tracing import Traces
from crm.web.access import PUBLIC
from tests.fixtures.api import client_of, running
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
PUT = "PUT /api/v1/orders/{source}/{external_id}"
EMAIL = "traced.nobody@example.com"


@get("/breaks", opt=PUBLIC)
async def breaks() -> None:
    raise RuntimeError(f"a fault that names {EMAIL}")


@get("/collides", opt=PUBLIC)
async def collides() -> None:
    """A command that fails with a message that repeats what was sent: two users of one address."""
    users = collection("users").raw.database.client  # as `auth`, who may not even do that
    await users[collection("users").raw.database.name].command(
        "findAndModify", "users", query={"email": EMAIL}, update={"$set": {"email": EMAIL}}, upsert=True
    )


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest_asyncio.fixture
async def traced(store: Store, exported: InMemorySpanExporter) -> AsyncIterator[httpx.AsyncClient]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    routes = (breaks, collides)
    app = create_app(store.settings, traces=Traces(provider, "1"), extra_routes=routes, work_inbox=False)
    async with running(app), client_of(app) as client:
        exported.clear()
        yield client


def named(exported: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exported.get_finished_spans() if span.name == name]


def within(exported: InMemorySpanExporter, span: ReadableSpan) -> list[ReadableSpan]:
    """The spans whose parent it is."""
    assert span.context is not None
    return [s for s in exported.get_finished_spans() if s.parent and s.parent.span_id == span.context.span_id]


async def test_a_push_is_a_span_linked_to_the_batch_that_wrote_it(
    traced: httpx.AsyncClient, exported: InMemorySpanExporter, credentials: dict[str, str], order_body: dict[str, Any]
) -> None:
    headers = {"Authorization": f"Bearer {credentials['ingest']}", "traceparent": PARENT, "X-Request-Id": "req-1"}
    with capture_logs():
        answer = await traced.put("/api/v1/orders/shop/t-1", json=order_body, headers=headers)
    assert answer.status_code == 201
    (request,) = named(exported, PUT)
    assert request.kind is SpanKind.SERVER
    assert request.context is not None
    assert request.parent is not None
    assert f"{request.context.trace_id:032x}" == TRACE
    assert f"{request.parent.span_id:016x}" == PARENT.split("-")[2]
    assert request.attributes is not None
    assert {**request.attributes, "crm.principal": ""} == {
        "http.request.method": "PUT",
        "http.route": "/api/v1/orders/{source}/{external_id}",
        "http.response.status_code": 201,
        "crm.request_id": "req-1",
        "crm.principal": "",
    }
    assert str(request.attributes["crm.principal"]).startswith("key_")

    (batch,) = named(exported, "write orders together")
    assert batch.parent is None
    assert [link.context.span_id for link in batch.links] == [request.context.span_id]
    assert batch.attributes == {"crm.items": 1}
    commands = within(exported, batch)
    assert {span.name for span in commands} >= {"find orders", "insert stats_due"}
    assert all(span.kind is SpanKind.CLIENT and span.status.status_code is StatusCode.UNSET for span in commands)
    assert commands[0].attributes is not None
    assert commands[0].attributes["db.system.name"] == "mongodb"


async def test_requests_that_are_written_together_share_a_batch(
    traced: httpx.AsyncClient, exported: InMemorySpanExporter, credentials: dict[str, str], order_body: dict[str, Any]
) -> None:
    headers = {"Authorization": f"Bearer {credentials['ingest']}"}
    pushes = (traced.put(f"/api/v1/orders/shop/t-{n}", json=order_body, headers=headers) for n in range(12))
    answers = await asyncio.gather(*pushes)
    assert {answer.status_code for answer in answers} == {201}
    requests = {span.context.span_id for span in named(exported, PUT) if span.context}
    batches = named(exported, "write orders together")
    linked = [link.context.span_id for batch in batches for link in batch.links]
    assert len(batches) < 12
    assert sorted(linked) == sorted(requests)
    assert sum(int(str((batch.attributes or {})["crm.items"])) for batch in batches) == 12


async def test_the_log_names_the_trace(traced: httpx.AsyncClient, exported: InMemorySpanExporter) -> None:
    import structlog

    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await traced.get("/health/live", headers={"traceparent": PARENT})
        await traced.get("/health/live")
    lines = [line for line in logs if line["event"] == "request"]
    assert lines[0]["trace_id"] == TRACE
    assert lines[1]["trace_id"] == f"{named(exported, 'GET /health/live')[1].context.trace_id:032x}"


async def test_nobodys_data_is_in_a_span(
    traced: httpx.AsyncClient, exported: InMemorySpanExporter, credentials: dict[str, str], order_body: dict[str, Any]
) -> None:
    headers = {"Authorization": f"Bearer {credentials['ingest']}"}
    order_body["customer"] |= {"email": EMAIL, "last_name": "Untraceable"}
    await traced.put("/api/v1/orders/shop/t-3", json=order_body, headers=headers)
    sales = {"Authorization": f"Bearer {credentials['sales']}"}
    found = await traced.get("/api/v1/customers", params={"q": EMAIL}, headers=sales)
    assert found.json()["items"]
    await traced.get("/api/v1/customers", params={"email": EMAIL, "sort": EMAIL}, headers=sales)
    await traced.post("/api/v1/auth/token", data={"username": EMAIL, "password": EMAIL})
    broken = await traced.get("/api/v1/breaks")
    refused = await traced.get("/api/v1/collides")
    assert (broken.status_code, refused.status_code) == (500, 403)
    spans = exported.get_finished_spans()
    (failed,) = named(exported, "GET /api/v1/breaks")
    assert failed.status.status_code is StatusCode.ERROR
    (command,) = named(exported, "findAndModify users")
    assert command.status.status_code is StatusCode.ERROR
    assert command.attributes is not None
    assert command.attributes["error.type"] == "13"
    assert len(spans) > 20
    text = "\n".join(span.to_json() for span in spans)
    assert "example.com" not in text
    assert "Untraceable" not in text
    assert not any(span.events or span.status.description for span in spans)


async def test_the_background_makes_no_traces(traced: httpx.AsyncClient, exported: InMemorySpanExporter) -> None:
    await asyncio.sleep(1.2)  # it says each second how far it is
    assert exported.get_finished_spans() == ()


class Receiver(BaseHTTPRequestHandler):
    """What OpenTelemetry's collector does: takes spans as protobuf."""

    got: list[tuple[str, ExportTraceServiceRequest]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def receiver() -> Iterator[tuple[str, list[tuple[str, ExportTraceServiceRequest]]]]:
    got: list[tuple[str, ExportTraceServiceRequest]] = []
    server = HTTPServer(("127.0.0.1", 0), type("Receiving", (Receiver,), {"got": got}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_spans_are_sent_where_opentelemetrys_variables_say(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    with receiver() as (url, got):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=tests")
        assert traces_wanted()
        app = create_app(store.settings, traces=Traces.start("1.2.3"), work_inbox=False)
        async with running(app), client_of(app) as client:
            assert (await client.get("/health/live")).status_code == 200
        # The end of the application sends what is left.
        assert [path for path, _ in got] == ["/v1/traces"]
    (resource_spans,) = got[0][1].resource_spans
    resource = {a.key: a.value.string_value for a in resource_spans.resource.attributes}
    assert resource["service.name"] == "crm"
    assert resource["service.version"] == "1.2.3"
    assert resource["deployment.environment.name"] == "tests"
    (spans,) = resource_spans.scope_spans
    assert "GET /health/live" in [span.name for span in spans.spans]


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_SERVICE_NAME": "shop"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_it_is_off_unless_it_is_said_where_to(
    variables: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ENDPOINT", "TRACES_ENDPOINT"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert traces_wanted() is wanted


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(NotConfigured, match=r"crm\[otel\]"):
        Traces.start("1")


def test_nothing_of_it_is_loaded_while_it_is_off() -> None:
    look = "import crm.app, sys; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", look], check=False, timeout=60).returncode == 0
