"""The short road answers as the other one does, byte for byte, and takes only what the router brings to its twin."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, get, put
from litestar.params import FromPath
from litestar.types import Receive, Scope, Send
from litestar.utils.path import normalize_path
from structlog.testing import capture_logs

from crm.app import create_app
from crm.database.driver import Database
from crm.errors import OperatorError
from crm.web.access import PUBLIC, SENDERS
from crm.web.hot_routes import Answer, Asked, WithHotRoutes, hot
from crm.web.idempotency import creates
from tests.fixtures.api import client_of
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

URL = "/api/v1/orders/shop/1"
JSON = {"Content-Type": "application/json"}
Body = dict[str, Any]


def not_here(*_args: Any) -> None:
    raise AssertionError("this request took the framework's road")


async def by_short_road(app: WithHotRoutes, request: httpx.Request, monkeypatch: pytest.MonkeyPatch) -> httpx.Response:
    with monkeypatch.context() as patch:
        patch.setattr(Litestar, "__call__", not_here)
        async with client_of(app) as client:
            return await client.send(request)


async def by_framework(app: WithHotRoutes, request: httpx.Request) -> httpx.Response:
    async def framework(scope: Scope, receive: Receive, send: Send) -> None:
        await Litestar.__call__(app, scope, receive, send)

    async with client_of(framework) as client:  # type: ignore[arg-type]
        return await client.send(request)


def seen(answer: httpx.Response) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """All of an answer; the request's id apart."""
    return answer.status_code, [h for h in answer.headers.raw if h[0] != b"x-request-id"], answer.content


def asking(url: str, headers: Mapping[str, str] | list[tuple[str, str]], content: Any) -> httpx.Request:
    return httpx.Request("PUT", f"http://crm.test{url}", headers=headers, content=content)


async def in_pieces(whole: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(whole), 1_000_000):
        yield whole[start : start + 1_000_000]


BODIES: dict[str, Any] = {
    "as it is": lambda good: json.dumps(good).encode(),
    "with spaces": lambda good: json.dumps(good, indent=3).encode(),
    "in pieces": lambda good: in_pieces(json.dumps(good).encode() + b" " * 2_500_000),
    "a total that is off": lambda good: json.dumps({**good, "total": "1.00"}).encode(),
    "a date in the future": lambda good: json.dumps({**good, "placed_at": "2199-01-01T00:00:00Z"}).encode(),
    "a customer who is none": lambda good: json.dumps({**good, "customer": {"id": "cus_1"}}).encode(),
    "too many items": lambda good: json.dumps({**good, "items": good["items"] * 501}).encode(),
    "an amount that is none": lambda good: json.dumps({**good, "total": "1.001"}).encode(),
    "several errors": lambda good: json.dumps({**good, "total": 5, "items": [5, {}], "status": "x"}).encode(),
    "unknown fields": lambda good: json.dumps({**good, "a/b~c": 1, "settings": 2, "principal": 3}).encode(),
    "nothing": lambda _: b"",
    "null": lambda _: b"null",
    "a list": lambda _: b"[]",
    "a text": lambda _: b'"x"',
    "a number": lambda _: b"1",
    "an empty object": lambda _: b"{}",
    "cut off": lambda good: json.dumps(good).encode()[:-1],
    "twice": lambda good: json.dumps(good).encode() * 2,
    "a name twice": lambda good: json.dumps(good).encode()[:-1] + b', "currency": "EUR"}',
    "a byte order mark": lambda good: b"\xef\xbb\xbf" + json.dumps(good).encode(),
    "not UTF-8": lambda good: json.dumps({**good, "note": "@"}).encode().replace(b"@", b"\xff"),
    "a lone surrogate": lambda good: json.dumps({**good, "note": "@"}).encode().replace(b"@", b"\\ud800"),
    "NaN": lambda good: json.dumps({**good, "note": float("nan")}).encode(),
    "deep": lambda _: b"[" * 100_000,
    "too large": lambda _: b" " * 11_000_000,
    "too large in pieces": lambda _: in_pieces(b" " * 11_000_000),
}
PATHS = [URL, "/api/v1/orders/shop/A%2F1", "/api/v1/orders/s.h:o-p/%23%31%20%C3%A9", "/api/v1/orders/shop/refunds2"]


@pytest.mark.parametrize("name", BODIES)
async def test_both_roads_answer_alike(
    name: str,
    app: WithHotRoutes,
    credentials: Mapping[str, str],
    order_body: Body,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headers = {**JSON, "Authorization": f"Bearer {credentials['ingest']}"}
    stored = await by_framework(app, asking(URL, headers, json.dumps(order_body).encode()))
    assert stored.status_code == 201
    await by_framework(app, asking(URL, headers, BODIES[name](order_body)))  # what it changes, it changes here
    answers = [
        seen(await by_framework(app, asking(URL, headers, BODIES[name](order_body)))),
        seen(await by_short_road(app, asking(URL, headers, BODIES[name](order_body)), monkeypatch)),
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] < 500


@pytest.mark.parametrize("path", PATHS)
async def test_both_roads_create_alike(
    path: str,
    app: WithHotRoutes,
    credentials: Mapping[str, str],
    order_body: Body,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headers = {**JSON, "Authorization": f"Bearer {credentials['ingest']}"}
    answers = []
    for road in ("framework", "short"):
        request = asking(path, headers, json.dumps(order_body).encode())
        short = road == "short"
        answer = await (by_short_road(app, request, monkeypatch) if short else by_framework(app, request))
        status, raw, content = seen(answer)
        text = re.sub(r'"(?:ord|cus)_\w+"|"\d{4}-\d\d-\d\dT[^"]+Z"', '"…"', content.decode())
        answers.append((status, raw, text))
        store.root["orders"].delete_many({})
    assert answers[0] == answers[1]
    assert answers[0][0] == 201


SENT_WITH: list[list[tuple[str, str]]] = [
    [],
    [("Authorization", "Bearer crm_ingest_wrong")],
    [("Authorization", "Bearer")],
    [("Authorization", "Basic YTpi")],
    [("Authorization", "Bearer @tracking")],
    [("Authorization", "Bearer @analyst")],
    [("Authorization", "Bearer @ingest"), ("Authorization", "Bearer @ingest")],
    [("Authorization", "bearer  @ingest ")],
    [("Authorization", "Bearer @ingest"), ("Content-Type", "text/plain")],
    [("Authorization", "Bearer @ingest"), ("Content-Type", "application/json; charset=utf-8")],
    [("Authorization", "Bearer @ingest"), ("Content-Type", "text/plain"), ("Content-Type", "application/json")],
    [("Authorization", "Bearer @ingest"), ("Content-Type", "APPLICATION/JSON")],
    [("Authorization", "Bearer @ingest"), ("Content-Type", "")],
    [("Authorization", "Bearer @ingest"), ("Idempotency-Key", "a b"), ("Content-Type", "application/json")],
]


@pytest.mark.parametrize("number", range(len(SENT_WITH)))
async def test_both_roads_judge_senders_and_content_types_alike(
    number: int,
    app: WithHotRoutes,
    credentials: Mapping[str, str],
    order_body: Body,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headers = [(n, re.sub(r"@(\w+)", lambda m: credentials[m[1]], value)) for n, value in SENT_WITH[number]]
    content = json.dumps(order_body).encode()
    first = await by_framework(app, asking(URL, headers, content))
    again = seen(await by_framework(app, asking(URL, headers, content)))
    assert again == seen(await by_short_road(app, asking(URL, headers, content), monkeypatch))
    assert (first.status_code, again[0]) in {(201, 200), (401, 401), (403, 403), (415, 415)}


async def test_both_roads_log_and_count_alike(
    app: WithHotRoutes, credentials: Mapping[str, str], order_body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {**JSON, "Authorization": f"Bearer {credentials['ingest']}", "X-Request-ID": "mine"}
    lines, counts = [], []
    for body in (order_body, {}):
        for road in ("framework", "short"):
            request = asking(URL, headers, json.dumps(body).encode())
            before = await counted(app)
            with capture_logs() as logs:
                short = road == "short"
                answer = await (by_short_road(app, request, monkeypatch) if short else by_framework(app, request))
            assert answer.headers.get_list("x-request-id") == ["mine"]
            (line,) = logs
            lines.append({name: value for name, value in line.items() if name not in {"ms", "status"}})
            counts.append({name: count - before.get(name, 0) for name, count in (await counted(app)).items()})
    assert lines[0] == lines[1] == lines[2] == lines[3]
    assert lines[0]["route"] == "/api/v1/orders/{source}/{external_id}"
    assert counts[2] == counts[3]
    assert sum(counts[3].values()) == 1


async def counted(app: WithHotRoutes) -> dict[str, float]:
    async with client_of(app) as client:
        text = (await client.get("/metrics")).text
    found = re.findall(r"^(crm_requests(?:_error)?_total\{.*orders.*\}) (\S+)$", text, re.M)
    return {name: float(value) for name, value in found}


async def test_a_sender_who_goes_away_stores_nothing(
    app: WithHotRoutes, credentials: Mapping[str, str], order_body: Body, store: Store
) -> None:
    body = json.dumps(order_body).encode()
    events = iter(
        [{"type": "http.request", "body": body, "more_body": True}, {"type": "http.disconnect"}],
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return next(events)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {credentials['ingest']}".encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "method": "PUT", "path": URL, "raw_path": URL.encode(), "query_string": b"", "headers": headers,
    }  # fmt: skip
    await app(scope, receive, send)  # type: ignore[arg-type]
    assert store.root["orders"].count_documents({}) == 0
    assert sent[0]["status"] == 499


SEGMENT = st.one_of(
    st.sampled_from(
        ["shop", "reconcile", "refunds", "REFUNDS", "ord_1", "", ".", "..", "%72efunds", "refund%73", "%2F"]
    ),
    st.text(st.sampled_from("a1.:_-%2F/?#é \n\x00"), max_size=6),
)


@given(rest=st.lists(SEGMENT, max_size=4), start=st.sampled_from(["/api/v1/orders/", "/api/v1/orders", "/api/v1/"]))
async def test_what_takes_the_short_road_is_what_the_router_brings_to_the_same_handler(
    rest: list[str], start: str, app: WithHotRoutes
) -> None:
    raw = (start + "/".join(rest)).encode()
    (route, _), *others = app._hot["PUT"]  # type: ignore[index]
    assert not others
    if (path := route.path_of(raw)) is None:
        return
    text = unquote_to_bytes(raw).decode()
    _, handler, _, parameters, template = app.asgi_router.handle_routing(path=normalize_path(text), method="PUT")
    assert (handler.name or handler.handler_name, template) == ("put_order", route.template)
    assert parameters["source"] == path[0]
    assert path[1] == text.split("/", 5)[5]


@pytest.mark.parametrize(
    "path",
    ["/api/v1/orders/shop/refunds", "/api/v1/orders/shop/refunds/1", "/api/v1/orders/shop/%72efunds", f"{URL}?",
     "/api/v1/orders/reconcile/1", "/api/v1/orders/shop/", "/api/v1/orders/shop", "/api/v1/orders/shop/a/b",
     "/api/v1/orders/sh%20op/1", "/api/v1/orders//1", "/api/v1/orders/shop/%FF", "/api/v1/orders/shop/%00",
     f"/api/v1/orders/shop/{'x' * 201}", "/api/v1/orders/shop/%2Frefunds"],
)  # fmt: skip
def test_these_take_the_other_road(path: str, app: WithHotRoutes) -> None:
    (route, _), *_ = app._hot["PUT"]  # type: ignore[index]
    assert route.path_of(path.encode()) is None


@pytest.mark.parametrize(
    ("headers", "url"),
    [({"Host": "a b"}, URL), ({"Content-Length": "+1"}, URL), ({}, f"{URL}?x=1")],
)
async def test_what_the_router_has_to_judge_takes_the_other_road(
    headers: dict[str, str],
    url: str,
    app: WithHotRoutes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def other_road(_app: Litestar, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    monkeypatch.setattr(Litestar, "__call__", other_road)
    async with client_of(app) as client:
        assert (await client.send(asking(url, {**JSON, **headers}, b"{}"))).status_code == 299


async def answered(asked: Asked) -> Answer:
    """Says what it was asked."""
    return Answer(json.dumps([asked.principal.id, *asked.path]).encode())


@put("/hot/fixed", opt={**PUBLIC, "content_types": (), **hot(answered)})
async def fixed() -> dict[str, str]:
    """For everybody, without parameters."""
    return {}


@get("/hot/{name:str}", opt={**SENDERS, **hot(answered)})
async def lacks_a_pattern(name: FromPath[str]) -> dict[str, str]:
    """Does not say what a name looks like."""
    return {"name": name}


@get("/hot/{name:str}/end", opt={**SENDERS, **hot(answered, name="a")})
async def goes_on(name: FromPath[str]) -> dict[str, str]:
    """Goes on behind its parameter."""
    return {"name": name}


@put("/hot/created", opt={**creates(SENDERS), **hot(answered)})
async def takes_keys() -> dict[str, str]:
    """Takes an Idempotency-Key."""
    return {}


async def test_a_public_route_without_parameters(store: Store, database: Database) -> None:
    app = create_app(store.settings, database=database, extra_routes=[fixed])
    app.state.database = database
    async with client_of(app) as client:
        answer = await client.put("/api/v1/hot/fixed", content=b"x", headers={"Authorization": "Basic YTpi"})
        assert (answer.status_code, answer.json()) == (200, ["anonymous"])
        assert (await client.put("/api/v1/hot/fixed/2")).status_code == 404
        assert (await client.post("/api/v1/hot/fixed")).status_code == 405


@pytest.mark.parametrize("route", [lacks_a_pattern, goes_on, takes_keys])
def test_a_route_that_cannot_be_hot_keeps_the_app_from_starting(route: Any, store: Store, database: Database) -> None:
    with pytest.raises(OperatorError, match="hot route /api/v1/hot/"):
        create_app(store.settings, database=database, extra_routes=[route])
