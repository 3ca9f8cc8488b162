"""/v1 and what comes in: content types, gzip, sizes, numbers of messages, and bodies that are none."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.types import Receive, Scope, Send

from crm.auth import service as auth
from crm.auth.schemas import WriteKey
from crm.connectors.segment import receiving
from crm.database.driver import Database
from crm.errors import RuleViolated
from crm.events import service as events
from crm.events.messages import Message, Sender
from crm.events.service import Tracked
from crm.web.hot_routes import WithHotRoutes
from crm.web.whole_bodies import Held
from tests.fixtures.answers import MARKER, Bad, good, refused
from tests.fixtures.api import client_of
from tests.fixtures.store import Store
from tests.fixtures.tracking import Keys, basic, batch, keys_of, message, stored

pytestmark = pytest.mark.mongo

KB = 1024


@pytest.fixture
def keys(app: Litestar, store: Store, database: Database) -> Iterator[Keys]:
    with keys_of(store, database) as made:
        yield made


@pytest.fixture
def headers(credentials: Mapping[str, str]) -> dict[str, str]:
    return basic(credentials["tracking"])


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded",
     "multipart/form-data; boundary=x", "application/octet-stream", "", "?", "application/json; charset=utf-16"],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("path", ["/v1/batch", "/v1/batch?", "/beacon/v1/batch"])
async def test_json_whatever_the_content_type(
    content_type: str | None,
    packed: bool,
    path: str,
    anonymous: httpx.AsyncClient,
    headers: dict[str, str],
    store: Store,
) -> None:
    one = message()
    body = gzip.compress(batch(one)) if packed else batch(one)
    sent = {**headers, **({"Content-Encoding": "gzip"} if packed else {})}
    sent |= {} if content_type is None else {"Content-Type": content_type}
    answer = await anonymous.post(path, content=body, headers=sent)
    assert good(answer) == {"success": True, "accepted": 1, "duplicates": 0, "rejected": []}
    assert stored(store) == {one["messageId"]}


async def test_good_ones_are_stored_and_bad_ones_are_named(
    anonymous: httpx.AsyncClient, headers: dict[str, str], store: Store
) -> None:
    messages: list[Any] = [message(), {"type": "track"}, message("page"), 5, message(type="click"), message()]
    messages.append(messages[0])
    told = good(await anonymous.post("/v1/batch", content=batch(*messages), headers=headers))
    assert (told["accepted"], told["duplicates"]) == (3, 1)
    assert [(one["index"], one["messageId"]) for one in told["rejected"]] == [
        (1, None), (3, None), (4, messages[4]["messageId"]),
    ]  # fmt: skip
    assert all(one["code"] and one["message"] for one in told["rejected"])
    assert stored(store) == {messages[0]["messageId"], messages[2]["messageId"], messages[5]["messageId"]}
    assert store.root["event_rejects"].count_documents({}) == 3


async def test_nothing_but_bad_ones(anonymous: httpx.AsyncClient, headers: dict[str, str], store: Store) -> None:
    told = good(await anonymous.post("/v1/batch", content=batch({"type": "track"}), headers=headers))
    assert (told["success"], told["accepted"], len(told["rejected"])) == (True, 0, 1)
    told = good(await anonymous.post("/v1/track", content=b"{}", headers=headers))
    assert (told["success"], told["accepted"], len(told["rejected"])) == (True, 0, 1)
    assert stored(store) == set()


async def test_an_empty_batch(anonymous: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await anonymous.post("/v1/batch", content=batch(), headers=headers)
    assert answer.status_code in {200, 400}


async def test_what_is_rejected_can_be_replayed_once_it_can_be_read(
    anonymous: httpx.AsyncClient, admin: httpx.AsyncClient, keys: Keys, store: Store
) -> None:
    key = await keys(event_types=["page"])
    one = message()
    good(await anonymous.post("/v1/batch", content=batch(one), headers=basic(key.key)))
    (reject,) = good(await admin.get("/api/v1/events/rejects"))["items"]
    assert reject["code"] == "type_not_allowed"
    # What a key may not send, nobody gets in by having it rejected first.
    problem = refused(await admin.post(f"/api/v1/events/rejects/{reject['id']}/replay"), 422, "unmappable")
    assert problem["detail"] == "This key may not send messages of this type."
    assert good(await admin.post("/api/v1/events/rejects/replay", json={})) == {"replayed": 0, "rejected": 1}
    assert stored(store) == set()
    await keys.change(key, event_types=["page", "track"])
    good(await admin.post(f"/api/v1/events/rejects/{reject['id']}/replay"))
    assert stored(store) == {one["messageId"]}


async def test_what_is_replayed_is_stored_as_if_it_had_been_taken_at_once(
    anonymous: httpx.AsyncClient, admin: httpx.AsyncClient, keys: Keys, store: Store
) -> None:
    key = await keys(event_types=["page"])
    clock = datetime.now(UTC) - timedelta(hours=3)  # theirs is that much behind
    said = {
        "context": {"page": {"url": "https://shop.example.com/mugs"}, "userAgent": "Browser/1", "ip": "192.0.2.1"},
        "sentAt": clock.isoformat(),
    }
    times = {"timestamp": (clock - timedelta(minutes=10)).isoformat()}
    good(await anonymous.post("/v1/batch", content=batch(message(**times), **said), headers=basic(key.key)))
    await keys.change(key, event_types=["page", "track"])
    good(await anonymous.post("/v1/batch", content=batch(message(**times), **said), headers=basic(key.key)))
    assert good(await admin.post("/api/v1/events/rejects/replay", json={})) == {"replayed": 1, "rejected": 0}
    taken, replayed = store.root["events"].find({}, sort=[("received_at", 1)])
    assert taken["context"] == {"page": {"url": "https://shop.example.com/mugs"}, "user_agent": "Browser/1"}
    assert replayed["context"] == taken["context"]
    assert (taken["clock"], replayed["clock"]) == ("corrected", "corrected")
    assert abs(replayed["occurred_at"] - taken["occurred_at"]) < timedelta(minutes=1)


async def test_keys_of_which_some_are_revoked_or_gone_replay_what_each_may_send(
    anonymous: httpx.AsyncClient, admin: httpx.AsyncClient, keys: Keys, store: Store
) -> None:
    sent = {}
    for name in ("free", "pages", "revoked", "gone"):
        key = await keys()
        bad = [message("page", timestamp="never"), message("track", timestamp="never")]
        good(await anonymous.post("/v1/batch", content=batch(*bad), headers=basic(key.key)))
        sent[name] = (key, [one["messageId"] for one in bad])
    await keys.change(sent["pages"][0], event_types=["page"])
    await keys.revoke(sent["revoked"][0])
    store.root["api_keys"].delete_one({"_id": sent["gone"][0].id})
    for row in store.root["event_rejects"].find({}):  # as if times had been mended
        mended = row["raw"].replace("never", "2026-01-31T12:00:00Z")
        store.root["event_rejects"].update_one({"_id": row["_id"]}, {"$set": {"raw": mended}})
    assert good(await admin.post("/api/v1/events/rejects/replay", json={})) == {"replayed": 5, "rejected": 3}
    assert stored(store) == {*sent["free"][1], sent["pages"][1][0], *sent["revoked"][1]}


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("repaired", [False, True])
async def test_what_the_database_refuses_is_kept_to_the_last_digit(
    alone: bool,
    repaired: bool,
    anonymous: httpx.AsyncClient,
    admin: httpx.AsyncClient,
    credentials: Mapping[str, str],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact = "12.100000000000000000000000000001"
    one = message(properties={"sku": "MUG", "price": "@", "note": float("nan") if repaired else "n"})
    if alone:
        del one["type"]
    body = json.dumps({**one, "writeKey": credentials["tracking"]} if alone else {"batch": [message("page"), one]})
    sent = body.replace('"@"', exact)

    async def refuse_the_last(_sender: Sender, messages: Sequence[Message]) -> Tracked:
        return Tracked(len(messages) - 1, 0, {len(messages) - 1: RuleViolated("A rule of the database refused it.")})

    with monkeypatch.context() as patch:
        patch.setattr(events, "track", refuse_the_last)
        path = "/v1/track" if alone else "/v1/batch"
        told = good(await anonymous.post(path, content=sent, headers=basic(credentials["tracking"])))
    assert [(item["index"], item["code"]) for item in told["rejected"]] == [(0 if alone else 1, "rule_violated")]
    (kept,) = good(await admin.get("/api/v1/events/rejects"))["items"]
    assert (kept["message_id"], kept["code"]) == (one["messageId"], "rule_violated")
    assert kept["message"] == "A rule of the database refused it."
    assert exact in kept["raw"]
    assert credentials["tracking"] not in kept["raw"]
    good(await admin.post(f"/api/v1/events/rejects/{kept['id']}/replay"))
    (row,) = store.root["events"].find({})
    assert str(row["commerce"]["products"][0]["price"]) == exact


async def test_2500_messages_and_more(anonymous: httpx.AsyncClient, headers: dict[str, str], store: Store) -> None:
    small = [{"type": "page", "messageId": f"m{n}", "anonymousId": "a"} for n in range(2_600)]
    told = good(await anonymous.post("/v1/batch", content=batch(*small), headers=headers))
    assert told["accepted"] == 2_500
    assert {one["code"] for one in told["rejected"]} == {"too_many_events"}
    assert told["rejected"][0]["index"] == 2_500
    assert stored(store) == {f"m{n}" for n in range(2_500)}


async def test_an_answer_does_not_grow_with_what_was_not_read(
    anonymous: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    body = b'{"batch":[' + b",".join([b"{}"] * 150_000) + b"]}"
    answer = await anonymous.post("/v1/batch", content=body, headers=headers)
    assert good(answer)["accepted"] == 0
    assert len(answer.content) < 1_000_000


def sized(size: int) -> bytes:
    """A good batch of exactly so many bytes."""
    body = batch(*[message(properties={"text": "x" * 20_000}) for _ in range(size // 22_000)])
    return body + b" " * (size - len(body))


@pytest.mark.parametrize(
    ("large", "size", "status"),
    [(False, 500 * KB, 200), (False, 500 * KB + 1, 413), (True, 500 * KB + 1, 200), (True, 4 * KB * KB, 200),
     (True, 4 * KB * KB + 1, 413), (True, 20_000_000, 413)],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("path", ["/v1/batch", "/beacon/v1/batch"])
async def test_sizes(
    large: bool, size: int, status: int, packed: bool, path: str, anonymous: httpx.AsyncClient, keys: Keys, store: Store
) -> None:
    key = await keys(large_batches=large)
    sent = {**basic(key.key), **({"Content-Encoding": "gzip"} if packed else {})}
    body = gzip.compress(sized(size), 1) if packed else sized(size)
    answer = await anonymous.post(path, content=body, headers=sent)
    if status == 413:
        refused(answer, 413, "payload_too_large")
        assert stored(store) == set()
    assert answer.status_code == status


async def test_no_more_bodies_are_held_than_there_is_room_for(
    anonymous: httpx.AsyncClient, keys: Keys, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database says nothing of a key: who is not held is told so at once, and others go on."""
    slow, quick = await keys(), await keys()
    answered, recognise = asyncio.Event(), auth.recognise_key

    async def late(key: str, **options: Any) -> WriteKey:
        if key == slow.key:
            await answered.wait()
        return await recognise(key, **options)

    monkeypatch.setattr(auth, "recognise_key", late)
    monkeypatch.setattr(receiving, "_UNKNOWN", Held(1_000 * KB))
    bodies = [batch(message(properties={"text": "x" * 20_000}), writeKey=slow.key).ljust(300 * KB) for _ in range(10)]
    for _ in range(2):  # the room of the first time is there again
        answered.clear()
        sent = {asyncio.create_task(anonymous.post("/v1/batch", content=body)) for body in bodies}
        async with asyncio.timeout(30):
            while len(sent) > 3:
                done, sent = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    refused(task.result(), 503, "unavailable")
                    assert int(task.result().headers["retry-after"]) >= 1
        told = good(await anonymous.post("/v1/batch", content=batch(message()), headers=basic(quick.key)))
        assert told["accepted"] == 1, "a stranger takes no room of those whose key a header says"
        answered.set()
        for task in sent:
            assert good(await task)["success"]


async def test_who_waits_too_long_for_a_key_is_told_to_come_again(
    anonymous: httpx.AsyncClient, keys: Keys, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await keys()

    async def never(_hash: str) -> None:
        await asyncio.Event().wait()

    body = batch(message(), writeKey=key.key)
    with monkeypatch.context() as patch:
        patch.setattr(receiving, "_KEY_WITHIN", 0.05)
        patch.setattr(auth, "_of_key", never)
        for headers in ({}, basic(key.key)):
            answer = await anonymous.post("/v1/batch", content=body, headers=headers)
            refused(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
    asked = [*auth._asked.values()]  # they wait for ever, and would end in whatever test runs when they are collected
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert stored(store) == set()


async def test_a_key_in_the_body_allows_no_large_ones(anonymous: httpx.AsyncClient, keys: Keys) -> None:
    key = await keys(large_batches=True)
    body = batch(message(), writeKey=key.key)
    refused(await anonymous.post("/v1/batch", content=body + b" " * 500 * KB), 413, "payload_too_large")
    good(await anonymous.post("/v1/batch", content=body + b" " * (500 * KB - len(body))))


async def test_nothing_is_read_of_who_has_a_wrong_key(app: Litestar) -> None:
    """The body would never come; the answer does."""

    async def never() -> Any:
        raise AssertionError("the body was read")

    answered: list[Any] = []

    async def send(event: Any) -> None:
        answered.append(event)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/batch", "raw_path": b"/v1/batch", "query_string": b"",
        "headers": [(b"authorization", basic("crm_tracking_x")["Authorization"].encode())],
    }  # fmt: skip
    await app(scope, never, send)  # type: ignore[arg-type]
    assert answered[0]["status"] == 401


PACKED = {"Content-Encoding": "gzip"}
BROKEN: dict[str, tuple[dict[str, str], bytes, int, str]] = {
    "gzip that is cut off": (PACKED, gzip.compress(batch(message()))[:-3], 400, "unreadable_request"),
    "plain text said to be gzip": (PACKED, batch(message()), 400, "unreadable_request"),
    "gzip not said to be": ({}, gzip.compress(batch(message())), 400, "unreadable_request"),
    "deflate": ({"Content-Encoding": "deflate"}, zlib.compress(batch(message())), 415, "unsupported_media_type"),
    "Brotli": ({"Content-Encoding": "br"}, b"\x0b\x02\x80{}\x03", 415, "unsupported_media_type"),
    "a bomb": (PACKED, gzip.compress(b"\0" * 50_000_000), 413, "payload_too_large"),
    "nothing": ({}, b"", 400, "unreadable_request"),
    "nothing, packed": (PACKED, b"", 400, "unreadable_request"),
    "no JSON": ({}, b"batch=1", 400, "unreadable_request"),
    "JSON that is cut off": ({}, batch(message(MARKER=MARKER))[:-1], 400, "unreadable_request"),
    "a list": ({}, b"[]", 400, "unreadable_request"),
    "null": ({}, b"null", 400, "unreadable_request"),
    "no batch": ({}, b"{}", 400, "unreadable_request"),
    "a batch that is none": ({}, b'{"batch": 1}', 400, "unreadable_request"),
    "UTF-16": ({}, batch(message()).decode().encode("utf-16"), 400, "unreadable_request"),
    "deep": ({}, b'{"batch":' + b"[" * 100_000, 400, "unreadable_request"),
}  # fmt: skip


@pytest.fixture
def bad(anonymous: httpx.AsyncClient, store: Store, caplog: pytest.LogCaptureFixture) -> Bad:
    return Bad(anonymous, store, caplog)


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("path", ["/v1/batch", "/v1/import", "/beacon/v1/batch"])
async def test_a_body_that_cannot_be_read(name: str, path: str, bad: Bad, headers: dict[str, str]) -> None:
    more, body, status, code = BROKEN[name]
    refused(await bad.send("POST", path, body, {**headers, **more}), status, code)


async def by_framework(app: WithHotRoutes, **request: Any) -> httpx.Response:
    async def framework(scope: Scope, receive: Receive, send: Send) -> None:
        await Litestar.__call__(app, scope, receive, send)

    async with client_of(framework) as client:  # type: ignore[arg-type]
        return await client.post("/v1/batch", **request)


def seen(answer: httpx.Response) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """All of an answer; the request's id apart, and in no order of the headers."""
    return answer.status_code, sorted(h for h in answer.headers.raw if h[0] != b"x-request-id"), answer.content


@pytest.mark.parametrize("name", [*BROKEN, "a good one", "a wrong key", "some bad ones"])
@pytest.mark.parametrize("origin", [None, "https://shop.example.com"])
async def test_both_roads_answer_alike(
    name: str, origin: str | None, app: WithHotRoutes, anonymous: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    more, body, *_ = BROKEN.get(name, ({}, batch(message(), {}), 200, ""))
    sent = {**headers, **more, **({"Origin": origin} if origin else {})}
    if name == "a wrong key":
        sent |= basic("crm_tracking_x")
    if name == "a good one":
        body = batch(message())
        good(await anonymous.post("/v1/batch", content=body, headers=sent))
    answers = [await anonymous.post("/v1/batch", content=body, headers=sent)]
    answers.append(await by_framework(app, content=body, headers=sent))
    if name == "some bad ones":
        answers[0] = await anonymous.post("/v1/batch", content=body, headers=sent)
    assert seen(answers[0]) == seen(answers[1])
