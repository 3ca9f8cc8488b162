"""A client that goes away while it sends: nothing is stored, and nothing is called an error."""

from __future__ import annotations

import json
import re
import socket
import time
from typing import Any

import pytest

from tests.e2e.processes import DemoProcess
from tests.fixtures.tracking import basic

pytestmark = pytest.mark.e2e

_COUNT = re.compile(r'^crm_requests_total\{.*path="([^"]+)",status_code="(\d+)".*\} (\S+)$', re.M)


def counted(demo: DemoProcess) -> dict[tuple[str, str], float]:
    """How often each route gave each status."""
    with demo.client() as client:
        text = client.get("/metrics").raise_for_status().text
    return {(path, status): float(count) for path, status, count in _COUNT.findall(text)}


def logged(demo: DemoProcess, behind: int) -> list[dict[str, Any]]:
    """What the API has logged, behind so many bytes."""
    return [json.loads(line) for line in (demo.data_dir / "api.log").read_bytes()[behind:].splitlines()]


def go_away(demo: DemoProcess, method: str, path: str, headers: dict[str, str]) -> None:
    """Announce a thousand bytes, send ten and close."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 1000"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", demo.port), timeout=10) as client:
        client.sendall("\r\n".join([*lines, "", '{"a": "bcd']).encode())
        time.sleep(0.2)  # so that the request has begun: else no route hears of it


def test_nobody_calls_it_an_error(bare_demo: DemoProcess) -> None:
    keys = bare_demo.credentials["api_keys"]
    with bare_demo.staff("admin") as admin:
        staff = {"Authorization": admin.headers["authorization"], "Content-Type": "application/json"}
    shop = {"Authorization": f"Bearer {keys['ingest']}", "Content-Type": "application/json"}
    requests = {
        "/api/v1/orders/{source}/{external_id}": ("PUT", "/api/v1/orders/gone/1", shop),
        "/api/v1/customers": ("POST", "/api/v1/customers", staff),
        "/api/v1/interactions": ("POST", "/api/v1/interactions", {**staff, "Idempotency-Key": '"gone"'}),
        "/api/v1/auth/token": (
            "POST", "/api/v1/auth/token", {"Content-Type": "application/x-www-form-urlencoded"},
        ),
        "/v1/{call}": ("POST", "/v1/batch", basic(keys["tracking"])),
        "/beacon/v1/batch": ("POST", f"/beacon/v1/batch?writeKey={keys['tracking']}", {}),
    }  # fmt: skip
    names = ("orders", "customers", "interactions", "events", "event_rejects", "idempotency_keys")
    with bare_demo.mongodb("admin") as client:
        db = client.get_default_database()
        before, stored = counted(bare_demo), {name: db[name].count_documents({}) for name in names}
        size = (bare_demo.data_dir / "api.log").stat().st_size
        for method, path, headers in requests.values():
            go_away(bare_demo, method, path, headers)
        deadline = time.monotonic() + 10
        while len(lines := logged(bare_demo, size)) < len(requests) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert {name: db[name].count_documents({}) for name in names} == stored
    assert {line["route"]: line["status"] for line in lines if "route" in line} == dict.fromkeys(requests, 499)
    assert {(line["event"], line["level"]) for line in lines} == {("request", "info")}
    grown = {key: n - before.get(key, 0) for key, n in counted(bare_demo).items() if n != before.get(key, 0)}
    assert {key: n for key, n in grown.items() if key[0] in requests} == {(route, "499"): 1 for route in requests}
