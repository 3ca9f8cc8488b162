"""Nothing of a person is in the logs of the service or of MongoDB, whatever is sent and whatever goes wrong."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from pymongo import MongoClient

from tests.e2e.supervised import Site
from tests.e2e.written import logs_below, naming

pytestmark = pytest.mark.e2e
EMAIL, OTHER = "zqlogged@example.com", "zqsecond@example.com"
PHONE = "+441632960123"
#: Parts of what is sent; none of them is part of anything else.
MARKS = ("zqlogged", "zqsecond", "1632960123", "zqfirst", "zqlast", "zqstreet", "zqnote", "zqpass")


def order(**changed: Any) -> dict[str, Any]:
    return {
        "customer": {"email": EMAIL, "phone": PHONE, "first_name": "Zqfirst", "last_name": "Zqlast"},
        "currency": "GBP",
        "placed_at": "2026-01-31T12:00:00Z",
        "status": "paid",
        "items": [{"sku": "MUG", "title": "Mug", "quantity": 1, "unit_price": "4.50"}],
        "total": "4.50",
        "shipping_address": {"name": "Zqfirst Zqlast", "line1": "1 Zqstreet", "city": "Leeds", "country": "GB"},
        "note": "zqnote",
        **changed,
    }


def requests() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Good and bad, each with what must not be written anywhere: method, path, and what goes with it."""
    path = "/api/v1/orders/shop"
    yield "PUT", f"{path}/1", {"json": order()}
    yield "PUT", f"{path}/2", {"json": order(total="4.51")}
    yield "PUT", f"{path}/3", {"json": order(placed_at="2999-01-01T00:00:00Z")}
    yield "PUT", f"{path}/4", {"json": order(customer={"email": f"{EMAIL} zqlast"})}
    yield "PUT", f"{path}/{EMAIL}", {"json": order(zqnote=EMAIL)}
    yield "PUT", f"{path}/5", {"content": f'{{"customer": "{EMAIL}"', "headers": {"Content-Type": "application/json"}}
    yield "PUT", f"{path}/6", {"json": order(status=EMAIL)}
    yield "PUT", f"{path}/7", {"json": order(customer={"email": OTHER, "first_name": "Zqfirst"})}
    yield "GET", f"/api/v1/customers?q={quote(EMAIL)}", {}
    yield "GET", f"/api/v1/customers?email={EMAIL}&sort=zqlast", {}
    yield "GET", f"/api/v1/customers/{EMAIL}", {}
    yield "GET", f"/{EMAIL}", {"headers": {"X-Request-Id": EMAIL, "User-Agent": EMAIL, "traceparent": EMAIL}}
    yield "GET", f"/api/v1/orders?cursor={EMAIL}", {}
    yield "POST", "/api/v1/auth/token", {"data": {"username": EMAIL, "password": "zqpass"}}
    yield "POST", "/api/v1/customers", {"json": {"email": EMAIL, "last_name": "Zqlast"}}
    yield "POST", "/api/v1/customers", {"json": {"email": "zqlast", "phone": "zqlast"}}
    lines = "\n".join([json.dumps({"email": EMAIL}), f"{{{EMAIL}", json.dumps({"source": "shop", "zqnote": EMAIL})])
    for what in ("orders", "customers", "events"):
        yield "POST", f"/api/v1/{what}/bulk", {"content": lines, "headers": {"Content-Type": "application/x-ndjson"}}
    traits = {"type": "identify", "userId": EMAIL, "messageId": "m-1", "traits": {"email": EMAIL, "phone": PHONE}}
    yield "POST", "/v1/identify", {"json": traits}
    yield (
        "POST",
        "/v1/track",
        {"json": {**traits, "type": "track", "event": "x" * 600, "properties": {"zqnote": EMAIL}}},
    )
    yield "POST", "/v1/batch", {"json": {"batch": [traits, EMAIL, {"type": EMAIL}]}}


async def sent(site: Site, staff: httpx.AsyncClient) -> set[int]:
    """Send everything as a shop and as staff; which answers there were."""
    seen = set()
    shop = {"Authorization": f"Bearer {site.key}"}
    async with httpx.AsyncClient(base_url=site.url(), timeout=30) as client:
        for method, path, what in requests():
            for who in (shop, {"Authorization": staff.headers["Authorization"]}, {"Authorization": f"Bearer {EMAIL}"}):
                headers = {**what.get("headers", {}), **who}
                answer = await client.request(method, path, **{**what, "headers": headers})
                seen.add(answer.status_code)
    return seen


async def edited(staff: httpx.AsyncClient) -> list[int]:
    """A colleague gives a customer the address of another, in each way there is."""
    found = (await staff.get("/customers", params={"email": OTHER})).raise_for_status().json()["items"]
    path = f"/customers/{found[0]['id']}"
    answers = []
    for change in ({"email": EMAIL}, {"email": "zqlast"}, {"last_name": "Zqlast" * 400}):
        etag = (await staff.get(path)).headers["etag"]
        answers.append((await staff.patch(path, json=change, headers={"If-Match": etag})).status_code)
    return answers


async def broken(site: Site) -> int:
    """A push while MongoDB dies, and one for a customer whose orders were spoiled by somebody who went around it."""
    async with httpx.AsyncClient(base_url=site.url(), timeout=30) as client:
        client.headers["Authorization"] = f"Bearer {site.key}"
        with MongoClient[dict[str, Any]](site.server.root_uri) as root:
            orders = root["crm"]["orders"]
            orders.database.command(
                "update",
                "orders",
                updates=[{"q": {"external_id": "1"}, "u": {"$set": {"currency": EMAIL, "total": EMAIL}}}],
                bypassDocumentValidation=True,
            )
        await client.put("/api/v1/orders/shop/8", json=order())
        pushes = [asyncio.create_task(client.put(f"/api/v1/orders/shop/k{n}", json=order())) for n in range(20)]
        site.kill_mongod()
        done = await asyncio.gather(*pushes, return_exceptions=True)
        answered = [answer for answer in done if isinstance(answer, httpx.Response)]
        await site.until_ready()
    return len(answered)


async def test_nobody_is_named_in_any_log(mongod: Path, tmp_path: Path) -> None:
    site = Site(tmp_path, workers=1)
    async with site.running(), site.staff() as staff:
        assert await sent(site, staff) >= {200, 201, 400, 401, 403, 404, 422}
        assert await edited(staff) == [409, 422, 422]
        assert await broken(site) == 20
        await asyncio.sleep(2)  # totals are added up, or cannot be
    logs = logs_below(tmp_path)
    assert {path.name for path in logs} == {"api.log", "mongod.log"}
    assert naming(logs, further=MARKS) == []
    said = [json.loads(line) for line in site.log.splitlines() if line.startswith("{")]
    assert len(said) > 60
    assert all(line["request_id"] for line in said if line["event"] == "request")
    assert [line for line in site.log.splitlines() if not line.startswith(("{", "[WARNING] "))] == []


def test_the_search_of_logs_finds_what_it_should() -> None:
    named = [
        "an ann@example.com",
        "a?q=ann%40example.com",
        r'{"q": "ann\u0040mail.example.com"}',
        "jörg@müller.example",
    ]
    lines = [*named, "of Zqlast", "root@admin is nobody", "@decorator"]
    # Elsewhere than all other logs are, which are looked through at the end.
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "data", "mongod.log.2026-11-25")
        log.parent.mkdir()
        log.write_text("\n".join(lines), encoding="utf-8")
        assert logs_below(Path(folder)) == [log]
        assert [line.split(": ", 1)[1] for line in naming([log])] == named
        assert len(naming([log], further=("zqlast",))) == len(named) + 1
