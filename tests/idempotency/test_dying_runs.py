"""Runs of a request that die, hang or do not know how they ended: what was to be created is there once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar, post
from litestar.params import JSONBody
from litestar.types import Message, Receive, Scope, Send

from crm.app import create_app
from crm.clock import now
from crm.customers import service as customers
from crm.customers.schemas import Consent
from crm.database.driver import Database, acting_as
from crm.database.ids import derived_id
from crm.database.query import Query
from crm.errors import CrmError, Unavailable
from crm.idempotency import service
from crm.idempotency.documents import KeyedRequest
from crm.identity import SYSTEM, Role
from crm.web.access import ADMIN_ONLY
from crm.web.dependencies import Ids
from crm.web.idempotency import creates
from tests.fixtures.answers import good, refused
from tests.fixtures.api import client_of, running
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

URL = "/api/v1/customers"
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
ANN = {"email": "ann@example.com"}
CONSENT = {"channel": "email", "status": "granted", "at": "2026-01-31T12:00:00Z", "source": "checkout"}
ANSWER = ("status", "content_type", "etag", "location", "body", "customer_id")


class Killed(BaseException):
    """What no handler catches: the process is gone."""


async def killed(*_args: Any, **_kwargs: Any) -> None:
    raise Killed


def let_the_lease_run_out(store: Store) -> None:
    over = {"$set": {"leased_until": now() - timedelta(seconds=1)}}
    (record,) = store.root["idempotency_keys"].find({})
    assert record["state"] == "running"
    assert record["leased_until"] > now()
    store.root["idempotency_keys"].update_one({"_id": record["_id"]}, over)


class Work:
    """What a handler does: waits at a gate, and tells how often it ran."""

    def __init__(self) -> None:
        self.runs = 0
        self.inside = asyncio.Event()
        self.gate = asyncio.Event()
        self.raises: CrmError | None = None
        self.text = ""

    async def entered(self) -> None:
        """Return once a handler is at the gate."""
        async with asyncio.timeout(30):
            await self.inside.wait()
        self.inside.clear()

    async def do(self) -> None:
        self.runs += 1
        self.inside.set()
        await self.gate.wait()
        if self.raises is not None:
            raise self.raises


@pytest.fixture
def work() -> Work:
    return Work()


@pytest_asyncio.fixture
async def boss(
    store: Store, database: Database, credentials: Mapping[str, str], work: Work
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that has one more route: POST /api/v1/things."""

    @post("/things", opt=creates(ADMIN_ONLY), operation_id="CreateThing")
    async def create_thing(new_ids: Ids, data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
        await work.do()
        return {"id": new_ids.id("thing"), "run": work.runs, "text": work.text, **data}

    app = create_app(store.settings, database=database, extra_routes=[create_thing])
    async with running(app), client_of(app, Authorization=f"Bearer {credentials['admin']}") as client:
        yield client


async def thing(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post("/api/v1/things", json=body, headers=KEY)


async def test_while_the_first_runs_the_others_wait(boss: httpx.AsyncClient, work: Work) -> None:
    first = asyncio.create_task(thing(boss))
    await work.entered()
    waiting = await thing(boss)
    refused(waiting, 409, "request_in_progress")
    assert waiting.headers["retry-after"] == "1"
    refused(await thing(boss, other=True), 422, "idempotency_key_reused")
    work.gate.set()
    answer = good(await first, 201)
    assert good(await thing(boss), 201) == answer
    assert work.runs == 1


async def test_died_after_creating_before_answering(
    sales: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(service, "finish", killed)
        with pytest.raises(Killed):
            await sales.post(URL, json=ANN, headers=KEY)
    (stored,) = store.root["customers"].find({})
    refused(await sales.post(URL, json=ANN, headers=KEY), 409, "request_in_progress")
    let_the_lease_run_out(store)
    refused(await sales.post(URL, json={"email": "bob@example.com"}, headers=KEY), 422, "idempotency_key_reused")
    answer = await sales.post(URL, json=ANN, headers=KEY)
    body = good(answer, 201)
    assert body["id"] == stored["_id"]
    assert "idempotency-replayed" not in answer.headers
    assert answer.headers["location"] == f"{URL}/{stored['_id']}"
    assert list(store.root["customers"].find({})) == [stored]
    assert (await sales.post(URL, json=ANN, headers=KEY)).headers["idempotency-replayed"] == "true"


async def test_died_before_creating(sales: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(customers, "create", killed)
        with pytest.raises(Killed):
            await sales.post(URL, json=ANN, headers=KEY)
    assert store.root["customers"].count_documents({}) == 0
    let_the_lease_run_out(store)
    good(await sales.post(URL, json=ANN, headers=KEY), 201)
    assert store.root["customers"].count_documents({}) == 1


@pytest.mark.parametrize("kind", ["interactions", "consents", "events"])
async def test_died_after_creating_anything_else(
    kind: str, admin: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = good(await admin.post(URL, json=ANN), 201)["id"]
    event = {"source": "web", "message_id": "1", "type": "page", "anonymous_id": "a"}
    url, sent = {
        "interactions": ("/api/v1/interactions", {"customer_id": customer, "kind": "note", "body": "b"}),
        "consents": (f"{URL}/{customer}/consents", CONSENT),
        "events": ("/api/v1/events", {"events": [{**event, "occurred_at": "2026-01-31T12:00:00Z"}]}),
    }[kind]
    with monkeypatch.context() as patch:
        patch.setattr(service, "finish", killed)
        with pytest.raises(Killed):
            await admin.post(url, json=sent, headers=KEY)
    collections = ("customers", "interactions", "events")
    before = {name: list(store.root[name].find({}, sort=[("_id", 1)])) for name in collections}
    let_the_lease_run_out(store)
    answer = await admin.post(url, json=sent, headers=KEY)
    assert answer.is_success, answer.text
    assert {name: list(store.root[name].find({}, sort=[("_id", 1)])) for name in collections} == before
    if kind == "interactions":
        assert answer.json()["id"] == before["interactions"][0]["_id"]
    elif kind == "consents":
        assert [entry["at"] for entry in answer.json()["consents"]] == [CONSENT["at"]]
    else:
        assert answer.json() == {"accepted": 0, "duplicates": 1}


async def test_a_dead_run_is_taken_over_by_one(boss: httpx.AsyncClient, work: Work, store: Store) -> None:
    work.raises = Unavailable("Gone.")
    work.gate.set()
    refused(await thing(boss), 503, "unavailable")
    work.raises = None
    work.gate.clear()
    work.inside.clear()
    sent = [asyncio.create_task(thing(boss)) for _ in range(16)]
    await work.entered()
    done, running_ = await asyncio.wait(sent, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    while len(running_) > 1:
        more, running_ = await asyncio.wait(running_, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert more
        done |= more
    for task in done:
        refused(task.result(), 409, "request_in_progress")
    work.gate.set()
    (last,) = running_
    assert good(await last, 201)["run"] == 2
    assert work.runs == 2


async def test_a_run_that_hangs_does_not_overwrite_who_took_over(
    boss: httpx.AsyncClient, work: Work, store: Store
) -> None:
    hanging = asyncio.create_task(thing(boss))
    await work.entered()
    let_the_lease_run_out(store)
    second = asyncio.create_task(thing(boss))
    await work.entered()
    work.text = "late"
    work.gate.set()
    answers = [good(await task, 201) for task in (second, hanging)]
    assert answers[0]["id"] == answers[1]["id"], "what both create has one id"
    (record,) = store.root["idempotency_keys"].find({})
    kept = await thing(boss)
    assert good(kept, 201) in answers
    assert kept.headers["idempotency-replayed"] == "true"
    assert record["state"] == "answered"


async def test_who_saw_a_run_without_an_answer_does_not_overwrite_the_one_it_gets(
    database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow run answers after the other has looked, and before it takes over."""
    record, content, answer = derived_id("idk", "x"), "0" * 64, service.Answer(201, "{}")
    fetch = KeyedRequest.fetch
    with acting_as(database, Role.SALES):
        slow = await service.begin(record, content)
        assert isinstance(slow, service.Run)
        let_the_lease_run_out(store)

        async def look(query: Query) -> KeyedRequest | None:
            found = await fetch(query)
            await service.finish(slow, answer)
            return found

        monkeypatch.setattr(KeyedRequest, "fetch", look)
        assert await service.begin(record, content) == answer


async def test_nobody_sees_an_answer_that_is_not_stored(
    app: Litestar, credentials: Mapping[str, str], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Message] = []

    async def spied(scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            sent.append(message)
            await send(message)

        await app(scope, receive, note)

    finish = service.finish

    sent_before = -1

    async def look(run: service.Run, answer: service.Answer) -> None:
        nonlocal sent_before
        await finish(run, answer)
        sent_before = len(sent)

    monkeypatch.setattr(service, "finish", look)
    async with client_of(spied, Authorization=f"Bearer {credentials['sales']}") as sales:  # type: ignore[arg-type]  # any ASGI app will do
        good(await sales.post(URL, json=ANN, headers=KEY), 201)
    assert sent_before == 0
    assert len(sent) == 2


async def test_an_unknown_outcome_may_be_tried_again_at_once_but_not_changed(
    boss: httpx.AsyncClient, work: Work
) -> None:
    work.gate.set()
    work.raises = Unavailable("Whether it was stored is unknown.", retry_after=1)
    refused(await thing(boss), 503, "unavailable")
    refused(await thing(boss, other=True), 422, "idempotency_key_reused")
    work.raises = None
    assert good(await thing(boss), 201)["run"] == 2


async def test_an_answer_that_is_too_long_is_not_kept_and_the_request_runs_again(
    boss: httpx.AsyncClient, work: Work, store: Store
) -> None:
    work.gate.set()
    work.text = "x" * 2**20
    first, again = await thing(boss), await thing(boss)
    assert good(first, 201)["id"] == good(again, 201)["id"]
    assert "idempotency-replayed" not in again.headers
    assert work.runs == 2
    (record,) = store.root["idempotency_keys"].find({})
    assert not record.keys() & set(ANSWER)


async def test_an_answer_that_cannot_be_stored_is_given_all_the_same(
    sales: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_args: Any) -> None:
        raise Unavailable("Gone.")

    with monkeypatch.context() as patch:
        patch.setattr(service, "finish", unavailable)
        first = good(await sales.post(URL, json=ANN, headers=KEY), 201)
    let_the_lease_run_out(store)
    assert good(await sales.post(URL, json=ANN, headers=KEY), 201) == first


async def test_without_a_record_nothing_runs(
    boss: httpx.AsyncClient, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_args: Any) -> None:
        raise Unavailable("Gone.", retry_after=2)

    monkeypatch.setattr(service, "begin", unavailable)
    answer = await thing(boss)
    refused(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "2"
    assert work.runs == 0


async def test_many_runs_of_one_request_add_one_consent(database: Database, sales: httpx.AsyncClient) -> None:
    customer = good(await sales.post(URL, json=ANN), 201)["id"]
    consent = Consent.model_validate(CONSENT)
    with acting_as(database, Role.SALES):
        runs = [customers.add_consent(SYSTEM, customer, consent, key="con_1") for _ in range(16)]
        told = await asyncio.gather(*runs)
    assert {len(out.consents) for out in told} == {1}
    for header in ({"Idempotency-Key": "a"}, {"Idempotency-Key": "b"}, {}, {}):
        body = good(await sales.post(f"{URL}/{customer}/consents", json=CONSENT, headers=header), 201)
    assert len(body["consents"]) == 5, "the same words in another request are another entry"
    assert body["consents"][0] == {**CONSENT, "wording": None}, "the entry's key is not shown"


async def test_an_event_batch_has_ids_of_its_own(admin: httpx.AsyncClient) -> None:
    """They follow from source and message id, with any key or none."""
    event = {"source": "web", "message_id": "1", "type": "page", "anonymous_id": "a"}
    batch = {"events": [{**event, "occurred_at": "2026-01-31T12:00:00Z"}]}
    assert good(await admin.post("/api/v1/events", json=batch, headers={"Idempotency-Key": "a"}))["accepted"] == 1
    assert good(await admin.post("/api/v1/events", json=batch, headers={"Idempotency-Key": "b"}))["duplicates"] == 1
