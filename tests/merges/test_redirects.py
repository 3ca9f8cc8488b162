"""Whatever lies under a customer is found under the id of before, too: 308, for every operation of the description."""

from __future__ import annotations

import json
from typing import Any, Final

import httpx
import pytest

from tests.fixtures.answers import good, refused
from tests.merges.people import CUSTOMERS, Two, merge

pytestmark = pytest.mark.mongo
PREFIX: Final = f"{CUSTOMERS}/{{customer_id}}"
#: What each operation takes, beside the id. A new one needs a row.
BODIES: Final[dict[str, Any]] = {
    "GET ": None,
    "PATCH ": {"version": 1, "tags": ["x"]},
    "DELETE ": None,
    "GET /activity": None,
    "GET /changes": None,
    "POST /consents": {"channel": "email", "status": "granted", "at": "2026-01-01T12:00:00Z", "source": "till"},
    "POST /erase": {"reason": "Ticket 4711"},
    "POST /export": None,
    "POST /merge": {"other": "ann", "versions": {"this": 1, "other": 1}},
    "POST /merge-preview": {"other": "ann"},
    "GET /orders": None,
    "GET /overview": None,
    "POST /reveal": {"fields": ["email"], "reason": "She asked for it."},
    "GET /timeline": None,
}


async def test_every_operation_leads_on(people: Two, admin: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    await merge(admin, people.ann, people.bob)
    ann, bob = people.ann["id"], people.bob["id"]
    paths = good(await anonymous.get("/api/openapi.json"))["paths"]
    described = {
        f"{method.upper()} {path.removeprefix(PREFIX)}": operation
        for path, operations in paths.items()
        for method, operation in operations.items()
        if path.startswith(PREFIX)
    }
    assert described.keys() == BODIES.keys()
    for name, operation in described.items():
        assert "308" in operation["responses"], name
        method, path = name.split(" ")
        body = json.loads(json.dumps(BODIES[name]).replace('"ann"', f'"{ann}"'))
        query = "?limit=2" if path in {"/orders", "/timeline", "/changes"} else ""
        answer = await admin.request(method, f"{CUSTOMERS}/{bob}{path}{query}", json=body)
        assert refused(answer, 308, "moved"), name
        assert answer.headers["location"] == f"{CUSTOMERS}/{ann}{path}{query}", name


async def test_an_id_of_nobody_leads_nowhere(people: Two, admin: httpx.AsyncClient) -> None:
    await merge(admin, people.ann, people.bob)
    for name, body in BODIES.items():
        method, path = name.split(" ")
        text = json.dumps(body).replace('"ann"', f'"{people.ann["id"]}"')
        answer = await admin.request(method, f"{CUSTOMERS}/cus_nobody{path}", json=json.loads(text))
        refused(answer, 404, "not_found")
