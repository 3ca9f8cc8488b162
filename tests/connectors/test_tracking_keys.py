"""/v1 and whose it is: each way to send a write key, what a key may send, from where, and how much."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest
from litestar import Litestar
from structlog.testing import capture_logs

from crm.database.driver import Database
from crm.errors import Unavailable
from crm.events import service as events
from crm.events.service import Tracked
from tests.fixtures.answers import good, refused
from tests.fixtures.store import Store
from tests.fixtures.tracking import Keys, basic, batch, keys_of, message, stored

pytestmark = pytest.mark.mongo

TYPES = ["track", "page", "screen", "identify", "group", "alias"]
SHORT = {"t": "track", "p": "page", "s": "screen", "i": "identify", "g": "group", "a": "alias"}
PATHS = [*(f"/v1/{name}" for name in (*TYPES, *SHORT, "batch", "b", "import")), "/beacon/v1/batch"]
NONE: dict[str, Any] = {"success": True, "accepted": 0, "duplicates": 0, "rejected": []}
SHOP = "https://shop.example.com"


@pytest.fixture
def keys(app: Litestar, store: Store, database: Database) -> Iterator[Keys]:
    with keys_of(store, database) as made:
        yield made


@pytest.fixture
def write_key(credentials: Mapping[str, str]) -> str:
    return credentials["tracking"]


def told(answer: httpx.Response) -> dict[str, Any]:
    """What a client is told: exactly 200, which is all that the older ones take for success."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    assert found["success"] is True
    assert found.keys() == NONE.keys()
    return found


@pytest.mark.parametrize("path", PATHS)
async def test_every_path_takes_its_messages_once(
    path: str, anonymous: httpx.AsyncClient, write_key: str, store: Store
) -> None:
    name = path.rsplit("/", 1)[1]
    type_ = SHORT.get(name, name)
    body = json.dumps(message(type_)).encode() if type_ in TYPES else batch(message(), message("page"))
    sent = 1 if type_ in TYPES else 2
    for expected in ((sent, 0), (0, sent)):
        answer = told(await anonymous.post(path, content=body, headers=basic(write_key)))
        assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (*expected, [])
    rows = list(store.root["events"].find({}))
    assert len(rows) == sent
    assert {row["source"] for row in rows} == {"web"}
    if type_ in TYPES:
        assert rows[0]["type"] == type_


@pytest.mark.parametrize("type_", TYPES)
async def test_a_batch_takes_every_type(type_: str, anonymous: httpx.AsyncClient, write_key: str, store: Store) -> None:
    answer = told(await anonymous.post("/v1/batch", content=batch(message(type_)), headers=basic(write_key)))
    assert (answer["accepted"], store.root["events"].find_one({})["type"]) == (1, type_)  # type: ignore[index]


#: Where the key may be: a URL's end, headers, what stands beside the messages.
Place = Callable[[str], tuple[str, dict[str, str], dict[str, Any]]]
PLACES: dict[str, Place] = {
    "Basic": lambda key: ("", basic(key), {}),
    "Basic without a colon": lambda key: ("", basic(key, colon=False), {}),
    "Basic without padding": lambda key: ("", {"Authorization": basic(key)["Authorization"].rstrip("=")}, {}),
    "Basic with a password": lambda key: ("", basic(f"{key}:secret"), {}),
    "basic in small letters": lambda key: ("", {"Authorization": f"b{basic(key)['Authorization'][1:]}"}, {}),
    "Bearer": lambda key: ("", {"Authorization": f"Bearer {key}"}, {}),
    "the body": lambda key: ("", {}, {"writeKey": key}),
    "the body, beside a token of elsewhere": lambda key: ("", {"Authorization": "Bearer ey.x.y"}, {"writeKey": key}),
    "the body, beside an empty user name": lambda key: ("", basic(""), {"writeKey": key}),
    "the query": lambda key: (f"?writeKey={key}", {}, {}),
    "a header, and another in the body": lambda key: ("", basic(key), {"writeKey": "crm_tracking_other"}),
    "a header, and another in the query": lambda key: ("?writeKey=crm_tracking_other", basic(key), {}),
    "the query, and another in the body": lambda key: (f"?writeKey={key}", {}, {"writeKey": "crm_tracking_other"}),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("path", ["/v1/batch", "/v1/t", "/beacon/v1/batch"])
async def test_a_key_may_be_in_many_places(
    place: str, path: str, anonymous: httpx.AsyncClient, write_key: str, store: Store
) -> None:
    end, headers, beside = PLACES[place](write_key)
    one = message()
    body = json.dumps({**one, **beside}).encode() if path == "/v1/t" else batch(one, **beside)
    assert told(await anonymous.post(path + end, content=body, headers=headers))["accepted"] == 1
    assert stored(store) == {one["messageId"]}


WRONG: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "no key": ({}, {}),
    "an unknown key": (basic("crm_tracking_unknown"), {}),
    "something else": (basic("x"), {}),
    "an unknown key in the body": ({}, {"writeKey": "crm_tracking_unknown"}),
    "an empty key in the body": ({}, {"writeKey": ""}),
    "a number for a key": ({}, {"writeKey": 5}),
    "null for a key": ({}, {"writeKey": None}),
    "a NUL in a key": ({}, {"writeKey": "crm_\x00"}),
    "no base64": ({"Authorization": "Basic !"}, {}),
    "no UTF-8": ({"Authorization": "Basic //8="}, {}),
    "nothing behind Basic": ({"Authorization": "Basic"}, {}),
    "an unknown bearer": ({"Authorization": "Bearer crm_tracking_unknown"}, {}),
    "another scheme": ({"Authorization": "Digest x"}, {}),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("path", ["/v1/batch", "/v1/t", "/beacon/v1/batch"])
async def test_without_a_key_nothing_is_stored(
    name: str, path: str, anonymous: httpx.AsyncClient, write_key: str, store: Store
) -> None:
    headers, beside = WRONG[name]
    body = json.dumps({**message(), **beside}).encode() if path == "/v1/t" else batch(message(), **beside)
    problem = refused(
        await anonymous.post(path, content=body, headers={**headers, "Origin": SHOP}), 401, "not_signed_in"
    )
    assert problem["message"] == problem["detail"]
    assert stored(store) == set()


async def test_a_wrong_header_is_not_saved_by_a_right_body(
    anonymous: httpx.AsyncClient, write_key: str, store: Store
) -> None:
    body = batch(message(), writeKey=write_key)
    refused(await anonymous.post("/v1/batch", content=body, headers=basic("crm_tracking_other")), 401, "not_signed_in")
    two = [("Authorization", basic(write_key)["Authorization"])] * 2
    refused(await anonymous.post("/v1/batch", content=body, headers=two), 401, "not_signed_in")
    assert stored(store) == set()


async def test_a_revoked_key(keys: Keys, anonymous: httpx.AsyncClient, store: Store) -> None:
    key = await keys()
    assert told(await anonymous.post("/v1/batch", content=batch(message()), headers=basic(key.key)))["accepted"] == 1
    await keys.revoke(key)
    refused(await anonymous.post("/v1/batch", content=batch(message()), headers=basic(key.key)), 401, "not_signed_in")
    assert len(stored(store)) == 1


async def test_a_secret_key_is_a_write_key_too(keys: Keys, anonymous: httpx.AsyncClient, store: Store) -> None:
    key = await keys("ingest", source="backend")
    assert told(await anonymous.post("/v1/batch", content=batch(message()), headers=basic(key.key)))["accepted"] == 1
    assert store.root["events"].find_one({})["source"] == "backend"  # type: ignore[index]


@pytest.mark.parametrize("role", ["admin", "sales", "analyst"])
async def test_staff_have_no_write_key(
    role: str, anonymous: httpx.AsyncClient, credentials: Mapping[str, str], store: Store
) -> None:
    headers = {"Authorization": f"Bearer {credentials[role]}"}
    refused(await anonymous.post("/v1/batch", content=batch(message()), headers=headers), 401, "not_signed_in")
    assert stored(store) == set()


async def test_a_public_key_may_do_nothing_else(anonymous: httpx.AsyncClient, write_key: str) -> None:
    for headers in (basic(write_key), {"Authorization": f"Bearer {write_key}"}):
        for path in ("/api/v1/customers", "/api/v1/events/rejects", "/api/v1/orders"):
            assert (await anonymous.get(path, headers=headers)).status_code in {401, 403}


async def test_the_log_names_the_key_by_its_id_and_never_itself(keys: Keys, anonymous: httpx.AsyncClient) -> None:
    key = await keys()
    for end, headers, beside in (place(key.key) for place in PLACES.values()):
        with capture_logs() as lines:
            await anonymous.post(f"/v1/batch{end}", content=batch(message(), **beside), headers=headers)
        assert [line["principal"] for line in lines] == [key.id]
        assert key.key not in str(lines)


# -- where from ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "status"),
    [(SHOP, 200), ("https://a.b.example.net", 200), ("https://other.example.com", 403), ("null", 403), (None, 403)],
)
@pytest.mark.parametrize("in_body", [False, True])
async def test_a_key_for_some_web_sites(
    origin: str | None, status: int, in_body: bool, keys: Keys, anonymous: httpx.AsyncClient, store: Store
) -> None:
    key = await keys(origins=[SHOP, "https://*.example.net"])
    headers = ({} if in_body else basic(key.key)) | ({"Origin": origin} if origin else {})
    body = batch(message(), writeKey=key.key)
    answer = await anonymous.post("/v1/batch", content=body, headers=headers)
    if status == 403:
        refused(answer, 403, "origin_not_allowed")
    assert answer.status_code == status
    assert len(stored(store)) == (status == 200)
    assert answer.headers.get("access-control-allow-origin") == origin


async def test_a_browser_may_read_every_answer(keys: Keys, anonymous: httpx.AsyncClient) -> None:
    limited = await keys(events_per_second=1)
    good_headers, origin = basic((await keys()).key), {"Origin": SHOP}
    many = batch(*[message() for _ in range(11)])
    answers = [
        await anonymous.post("/v1/t", content=json.dumps(message()), headers=good_headers | origin),
        await anonymous.post("/v1/t?writeKey=x", content=json.dumps(message()), headers=origin),
        await anonymous.post("/v1/t", content=b"{", headers=good_headers | origin),
        await anonymous.post("/v1/t", content=b"", headers=basic("x") | origin),
        await anonymous.post("/v1/b", content=b" " * 600_000, headers=good_headers | origin),
        await anonymous.post("/v1/b", content=b"x", headers=good_headers | origin | {"Content-Encoding": "br"}),
        await anonymous.post("/v1/b", content=many, headers=basic(limited.key) | origin),
        await anonymous.post("/v1/b", content=batch(message()), headers=basic(limited.key) | origin),
        await anonymous.post("/v1/m", content=b'{"series":[]}', headers=origin),
        await anonymous.get(f"/v1/projects/{limited.key}/settings", headers=origin),
        await anonymous.get("/v1/projects/x/settings", headers=origin),
        await anonymous.post("/v1/x", content=batch(message()), headers=good_headers | origin),
        await anonymous.post("/v1/batch/x", content=batch(message()), headers=good_headers | origin),
        await anonymous.post("/beacon/v1/track", content=b"{}", headers=origin),
        await anonymous.get("/v1", headers=origin),
        await anonymous.get("/v1/batch", headers=origin),
        await anonymous.put("/beacon/v1/batch", content=b"{}", headers=origin),
        await anonymous.post("/v1/batch?key=x", content=batch(message()), headers=good_headers | origin),
        await anonymous.post("/v1/t?writeKey=x&writeKey=y", content=b"{}", headers=origin),
        await anonymous.get("/v1/projects/x/settings?key=x", headers=origin),
        await anonymous.get("/v1/projects/x", headers=origin),
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [
        200, 401, 400, 401, 413, 415, 200, 429, 200, 200, 401, 404, 404, 404, 404, 405, 405, 400, 400, 400, 404,
    ]  # fmt: skip
    for answer in answers:
        assert answer.headers.get_list("access-control-allow-origin") == [SHOP]
        assert answer.headers.get_list("vary") == ["Origin"]
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["access-control-expose-headers"] == "Retry-After, X-RateLimit-Reset"
        if answer.status_code >= 400:
            problem = answer.json()
            assert problem["code"]
            assert problem["message"]


async def test_an_error_that_many_share_is_answered_to_each_as_their_own(
    anonymous: httpx.AsyncClient, write_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Unavailable("It is away.", retry_after=7)

    async def away(*_args: Any) -> Tracked:
        raise shared

    monkeypatch.setattr(events, "track", away)
    body = json.dumps(message())
    for origin in (SHOP, "https://other.example.com", None):
        headers = {**basic(write_key), **({"Origin": origin} if origin else {})}
        answer = await anonymous.post("/v1/t", content=body, headers=headers)
        refused(answer, 503, "unavailable")
        assert answer.headers.get("access-control-allow-origin") == origin
        assert answer.headers["retry-after"] == "7"


#: What browsers ask for on behalf of the published libraries; RudderStack's the latter two, the last on retries.
ASKED = (
    "authorization,content-type,x-retry-count",
    "anonymousid,authorization,content-type,sentat",
    "anonymousid,authorization,content-type,rsa-recovered,rsa-retry-attempt,rsa-retry-reason,"
    "rsa-since-first-attempt,rsa-since-last-attempt,sentat",
)


@pytest.mark.parametrize("asked", [*ASKED, None])
@pytest.mark.parametrize("path", [*PATHS, "/v1/m", "/v1/x", "/v1/batch/x", "/beacon/v1/track"])
async def test_a_browser_may_ask_first(path: str, asked: str | None, anonymous: httpx.AsyncClient) -> None:
    asks = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    asks |= {"Access-Control-Request-Headers": asked} if asked else {}
    answer = await anonymous.options(path, headers=asks)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert answer.headers["access-control-allow-methods"] == "GET, POST"
    assert answer.headers.get("access-control-allow-headers") == asked
    assert int(answer.headers["access-control-max-age"]) > 600
    assert "access-control-allow-credentials" not in answer.headers


async def test_no_page_may_ask_the_rest_of_the_api(anonymous: httpx.AsyncClient) -> None:
    for path in ("/api/v1/customers", "/api/v1/events", "/health/live"):
        for answer in (await anonymous.options(path, headers={"Origin": SHOP}), await anonymous.get(path)):
            assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_who_is_no_browser_is_answered_without_all_that(anonymous: httpx.AsyncClient, write_key: str) -> None:
    answer = await anonymous.post("/v1/batch", content=batch(message()), headers=basic(write_key))
    assert answer.headers["vary"] == "Origin"
    options = await anonymous.options("/v1/batch")
    assert options.headers["allow"] == "OPTIONS, POST"
    for one in (answer, options):
        assert not [name for name in one.headers if name.startswith("access-control")]


# -- what and how much --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_body", [False, True])
async def test_a_key_for_some_types(in_body: bool, keys: Keys, anonymous: httpx.AsyncClient, store: Store) -> None:
    key = await keys(event_types=["page", "track"])
    messages = [message("track"), message("identify"), message("page"), message("alias")]
    body = batch(*messages, writeKey=key.key)
    answer = told(await anonymous.post("/v1/batch", content=body, headers={} if in_body else basic(key.key)))
    assert answer["accepted"] == 2
    assert [(one["index"], one["messageId"], one["code"]) for one in answer["rejected"]] == [
        (1, messages[1]["messageId"], "type_not_allowed"),
        (3, messages[3]["messageId"], "type_not_allowed"),
    ]
    assert stored(store) == {messages[0]["messageId"], messages[2]["messageId"]}
    kept = list(store.root["event_rejects"].find({}, sort=[("message_id", 1)]))
    assert [(row["code"], row["key_id"]) for row in kept] == [("type_not_allowed", key.id)] * 2
    alone = told(await anonymous.post("/v1/identify", content=json.dumps(message("identify")), headers=basic(key.key)))
    assert [one["code"] for one in alone["rejected"]] == ["type_not_allowed"]


async def test_a_key_that_has_sent_too_much(keys: Keys, anonymous: httpx.AsyncClient, store: Store) -> None:
    key = await keys(events_per_second=2)
    body = [batch(*[message() for _ in range(5)]) for _ in range(20)]
    answers = [await anonymous.post("/v1/batch", content=one, headers=basic(key.key)) for one in body]
    passed = [answer for answer in answers if answer.status_code == 200]
    assert 4 <= len(passed) <= 6  # ten seconds' worth at once, and what is earned meanwhile
    assert len(stored(store)) == 5 * len(passed)
    last = answers[-1]
    refused(last, 429, "rate_limited")
    assert 1 <= int(last.headers["retry-after"]) <= 10
    assert last.headers["x-ratelimit-reset"] == last.headers["retry-after"]


async def test_what_is_rejected_counts_too(keys: Keys, anonymous: httpx.AsyncClient) -> None:
    key = await keys(events_per_second=1)
    headers = basic(key.key)
    told(await anonymous.post("/v1/batch", content=batch(*[{"type": "x"}] * 100), headers=headers))
    refused(await anonymous.post("/v1/batch", content=batch(message()), headers=headers), 429, "rate_limited")


async def test_a_keys_limit_is_its_own(keys: Keys, anonymous: httpx.AsyncClient) -> None:
    one, other = await keys(events_per_second=1), await keys(events_per_second=1)
    told(await anonymous.post("/v1/batch", content=batch(*[message() for _ in range(50)]), headers=basic(one.key)))
    refused(await anonymous.post("/v1/t", content=json.dumps(message()), headers=basic(one.key)), 429, "rate_limited")
    told(await anonymous.post("/v1/t", content=json.dumps(message()), headers=basic(other.key)))


async def test_metrics_of_a_client_are_dropped(anonymous: httpx.AsyncClient, store: Store) -> None:
    for content in (b'{"series": []}', b"", b"{", b"\xff"):
        answer = await anonymous.post("/v1/m", content=content, headers={"Content-Type": "text/plain"})
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert stored(store) == set()


async def test_the_settings_of_analytics_js(keys: Keys, anonymous: httpx.AsyncClient) -> None:
    key = (await keys()).key
    answer = await anonymous.get(f"/v1/projects/{key}/settings", headers={"Origin": SHOP})
    segment = good(answer)["integrations"]["Segment.io"]
    assert segment == {"apiKey": key, "apiHost": "crm.test/v1", "protocol": "http"}
    assert answer.headers["cache-control"] == "no-store"
    behind = await anonymous.get(f"/v1/projects/{key}/settings", headers={"X-Forwarded-Proto": "https"})
    assert good(behind)["integrations"]["Segment.io"]["protocol"] == "https"


@pytest.mark.parametrize("path", [*PATHS, "/v1/m"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_other_methods(method: str, path: str, anonymous: httpx.AsyncClient, write_key: str) -> None:
    answer = await anonymous.request(method, path, headers=basic(write_key))
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/x", "/v1/batch/x", "/v1/TRACK", "/v1/track2", "/beacon/v1/track"])
async def test_other_paths(path: str, anonymous: httpx.AsyncClient, write_key: str) -> None:
    refused(await anonymous.post(path, content=batch(message()), headers=basic(write_key)), 404, "not_found")
