"""The engine alone, with a sender and a reader that are played: order, batches, refusals, a database that goes away."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from crm.errors import Conflict, InvalidInput, OperatorError, Unavailable
from crm.web import ndjson
from crm.web.ndjson import Answer, Running, Taken
from crm.web.ndjson_lines import LONGEST_LINE, Gunzip
from crm.web.schemas import WireIn

pytestmark = pytest.mark.fast

Row = dict[str, Any]


class Item(WireIn):
    n: int
    note: str = ""


class Client:
    """Sends what it is told to, and keeps what it gets."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.got = bytearray()
        self.ended = False
        self.news = asyncio.Condition()
        self.reads = asyncio.Event()
        self.reads.set()

    def send(self, body: bytes, *, more: bool = True) -> None:
        self.messages.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})

    async def take(self, message: Any) -> None:
        await self.reads.wait()
        self.got += message["body"]
        self.ended = not message["more_body"]
        async with self.news:
            self.news.notify_all()

    def rows(self) -> list[Row]:
        return [json.loads(line) for line in self.got.splitlines()]

    async def until(self, lines: int) -> None:
        async with asyncio.timeout(5), self.news:
            await self.news.wait_for(lambda: self.got.count(b"\n") >= lines)

    async def exchange(self, work: ndjson.Work[Item], *, gunzip: Gunzip | None = None) -> None:
        running = Running(Item, lambda item: item.n, work, gunzip)
        await running.run(await self.messages.get(), self.messages.get, self.take)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """No long waits, and batches whose size does not depend on how busy the machine is."""
    monkeypatch.setattr(ndjson, "_WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(ndjson, "_PATIENCE", 60.0)


@pytest.fixture
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "_PATIENCE", 0.05)


class Store:
    """Work that keeps its batches; ``answer`` says what becomes of a line."""

    def __init__(self, answer: Callable[[Item], Answer] | None = None) -> None:
        self.batches: list[list[int]] = []
        self.news = asyncio.Condition()
        self.answer = answer or (lambda item: Taken("created", {"id": f"x_{item.n}"}))

    async def __call__(self, items: Sequence[Item]) -> list[Answer]:
        self.batches.append([item.n for item in items])
        async with self.news:
            self.news.notify_all()
        return [self.answer(item) for item in items]

    async def had(self, items: int) -> None:
        async with self.news:
            await self.news.wait_for(lambda: sum(map(len, self.batches)) >= items)


def line(n: int, **more: Any) -> bytes:
    return json.dumps({"n": n, **more}).encode() + b"\n"


async def test_one_result_for_each_line_and_a_sum(client: Client) -> None:
    client.send(b"\n" + line(1) + b"\r\n{broken\n" + b'{"n": "1", "m": 2}\n\xff\n[]\n', more=True)
    client.send(b'{"n": 7}', more=False)
    await client.exchange(Store())
    *rows, last = client.rows()
    assert [row["line"] for row in rows] == [2, 4, 5, 6, 7, 8]
    assert rows[0] == {"line": 2, "id": "x_1", "result": "created"}
    unreadable = {"result": "refused", "code": "unreadable_request", "status": 400}
    assert rows[1] == {"line": 4, **unreadable, "detail": "The line is not JSON that can be read."}
    assert rows[2]["errors"] == [
        {"pointer": "/n", "detail": "This is a whole number."},
        {"pointer": "/m", "detail": "This field is not known."},
    ]
    assert (rows[2]["code"], rows[2]["status"]) == ("invalid_input", 422)
    assert rows[3]["code"] == "unreadable_request"
    assert rows[4]["errors"] == [{"pointer": "", "detail": "The body must be a JSON object."}]
    assert rows[5]["id"] == "x_7"
    assert last == {
        "done": True, "lines": 6, "created": 2, "updated": 0, "unchanged": 0, "stale": 0, "refused": 4, "failed": 0,
    }  # fmt: skip
    assert client.ended


async def test_nothing_is_a_sum_of_nothing(client: Client) -> None:
    client.send(b"", more=False)
    await client.exchange(Store())
    assert client.rows() == [{
        "done": True, "lines": 0, "created": 0, "updated": 0, "unchanged": 0, "stale": 0, "refused": 0, "failed": 0,
    }]  # fmt: skip


async def test_every_result_is_counted(client: Client) -> None:
    answers: list[Answer] = [
        Taken("created", {}), Taken("updated", {}), Taken("unchanged", {}), Taken("stale", {}),
        Conflict("No."), OperatorError("secret"), Unavailable("Away.", retry_after=1),
    ]  # fmt: skip
    client.send(b"".join(line(n) for n in range(7)), more=False)
    await client.exchange(Store(lambda item: answers[item.n]))
    *rows, last = client.rows()
    assert [row["result"] for row in rows] == [
        "created", "updated", "unchanged", "stale", "refused", "failed", "failed",
    ]  # fmt: skip
    assert rows[4] == {"line": 5, "result": "refused", "code": "conflict", "status": 409, "detail": "No."}
    assert "secret" not in client.got.decode()
    assert rows[6]["code"] == "unavailable"
    del last["done"]
    assert last == {
        "lines": 7, "created": 1, "updated": 1, "unchanged": 1, "stale": 1, "refused": 1, "failed": 2,
    }  # fmt: skip


async def test_batches_are_full_while_the_sender_is_fast(client: Client) -> None:
    store = Store()
    for start in range(0, 10_000, 1000):
        client.send(b"".join(line(n) for n in range(start, start + 1000)))
    client.send(b"", more=False)
    await client.exchange(store)
    assert [n for batch in store.batches for n in batch] == list(range(10_000))
    assert {len(batch) for batch in store.batches} == {500}
    assert [row["line"] for row in client.rows()[:-1]] == list(range(1, 10_001))


async def test_large_lines_make_small_batches(client: Client) -> None:
    store = Store()
    for n in range(12):
        client.send(line(n, note="x" * 500_000))
    client.send(b"", more=False)
    await client.exchange(store)
    assert [n for batch in store.batches for n in batch] == list(range(12))
    assert max(map(len, store.batches)) <= 5


async def test_a_line_that_is_too_long_is_refused_alone(client: Client) -> None:
    client.send(line(1))
    for _ in range(11):
        client.send(b"x" * (LONGEST_LINE // 10))
    client.send(b"\n" + line(3), more=False)
    await client.exchange(Store())
    first, second, third, _ = client.rows()
    assert (first["result"], third["result"], third["line"]) == ("created", "created", 3)
    assert second["detail"] == "A line has at most 1,000,000 bytes."


@pytest.mark.usefixtures("_little_patience")
async def test_results_come_while_the_sender_pauses(client: Client) -> None:
    running = asyncio.create_task(client.exchange(Store()))
    for n in range(3):
        client.send(line(n))
        await client.until(n + 1)  # with nothing sent meanwhile
    client.send(line(3)[:4])
    await asyncio.sleep(ndjson._PATIENCE * 2)
    assert len(client.rows()) == 3, "half a line is none"
    client.send(line(3)[4:], more=False)
    await running
    assert [row["line"] for row in client.rows()[:-1]] == [1, 2, 3, 4]


@pytest.mark.usefixtures("_little_patience")
async def test_who_trickles_lines_need_not_pause_to_see_results(client: Client) -> None:
    running = asyncio.create_task(client.exchange(Store()))
    sent = 0
    async with asyncio.timeout(5):
        while not client.got:
            client.send(line(sent))
            sent += 1
            await asyncio.sleep(ndjson._PATIENCE / 10)
    assert sent < 200
    client.send(b"", more=False)
    await running
    assert len(client.rows()) == sent + 1


async def test_a_client_that_reads_only_afterwards_gets_everything(client: Client) -> None:
    client.reads.clear()
    store = Store()
    running = asyncio.create_task(client.exchange(store))
    for start in range(0, 20_000, 1000):
        client.send(b"".join(line(n) for n in range(start, start + 1000)))
    client.send(b"", more=False)
    async with asyncio.timeout(20):
        await store.had(20_000)
    assert not client.got
    client.reads.set()
    await running
    assert [row["line"] for row in client.rows()[:-1]] == list(range(1, 20_001))


async def test_gzip(client: Client) -> None:
    packed = gzip.compress(b"".join(line(n) for n in range(1000)))
    for start in range(0, len(packed), 100):
        client.send(packed[start : start + 100])
    client.send(b"", more=False)
    await client.exchange(Store(), gunzip=Gunzip())
    assert client.rows()[-1]["created"] == 1000


@pytest.mark.parametrize("cut", [True, False])
async def test_broken_gzip_ends_the_results_and_says_so(cut: bool, client: Client) -> None:
    # Not compressed within the stream, so that what comes before the broken place can be read.
    packed = gzip.compress(b"".join(line(n) for n in range(1000)), 0)
    client.send(packed[:5000])
    client.send(b"" if cut else b"\xff" * 5000 + packed[10_000:])
    client.send(b"", more=False)
    await client.exchange(Store(), gunzip=Gunzip())
    *rows, last = client.rows()
    assert all(row["result"] == "created" for row in rows)
    assert last["done"] is False
    assert last["lines"] == len(rows)
    assert (last["code"], last["status"]) == ("unreadable_request", 400)
    assert last["detail"] == f"The gzip stream is {'cut off' if cut else 'broken'}."
    assert client.ended


async def test_what_failed_is_tried_again_and_only_that(client: Client) -> None:
    left = {2: 2, 3: 9}
    tried: list[list[int]] = []

    async def work(items: Sequence[Item]) -> list[Answer]:
        tried.append([item.n for item in items])
        out: list[Answer] = []
        for item in items:
            left[item.n] = left.get(item.n, 0) - 1
            out.append(Unavailable("Away.") if left[item.n] >= 0 else Taken("created", {}))
        return out

    client.send(b"".join(line(n) for n in range(1, 5)), more=False)
    await client.exchange(work)
    assert tried == [[1, 2, 3, 4], [2, 3], [2, 3], [3]]
    assert [row["result"] for row in client.rows()[:-1]] == ["created", "created", "failed", "created"]


async def test_while_the_database_stays_away_each_batch_is_tried_once_and_the_stream_goes_on(client: Client) -> None:
    tries: list[int] = []

    async def work(items: Sequence[Item]) -> list[Answer]:
        tries.append(items[0].n)
        if items[0].n < 1500:
            raise Unavailable("Away.")
        return [Taken("created", {}) for _ in items]

    client.send(b"".join(line(n) for n in range(2000)), more=False)
    await client.exchange(work)
    assert tries == [0, 0, 0, 0, 500, 1000, 1500]
    assert (client.rows()[-1]["failed"], client.rows()[-1]["created"]) == (1500, 500)


async def test_a_fault_that_one_line_brings_out_harms_no_other(client: Client) -> None:
    async def work(items: Sequence[Item]) -> list[Answer]:
        if any(item.n == 3 for item in items):
            raise LookupError("person@example.com")
        return [Taken("created", {}) for _ in items]

    client.send(b"".join(line(n) for n in range(6)), more=False)
    with capture_logs() as logs:
        await client.exchange(work)
    assert [row["result"] for row in client.rows()[:-1]] == ["created"] * 3 + ["failed"] + ["created"] * 2
    assert client.rows()[3]["code"] == "internal_error"
    assert [entry["error"] for entry in logs] == ["LookupError"]
    assert "person" not in client.got.decode() + repr(logs)


async def test_when_the_client_goes_the_batch_at_work_is_finished_and_no_other_begun(client: Client) -> None:
    at_work, go_on = asyncio.Event(), asyncio.Event()
    finished: list[int] = []

    async def work(items: Sequence[Item]) -> list[Answer]:
        at_work.set()
        await go_on.wait()
        finished.append(len(items))
        return [Taken("created", {}) for _ in items]

    client.send(b"".join(line(n) for n in range(1700)))
    running = asyncio.create_task(client.exchange(work))
    await at_work.wait()
    client.leave()
    await asyncio.sleep(0.3)  # for the reader to learn of it, on a slow machine too
    go_on.set()
    async with asyncio.timeout(5):
        await running
    assert finished == [500] * ndjson._BATCHES_AT_WORK


async def test_when_the_client_goes_after_it_has_sent_everything_nobody_waits_for_it(client: Client) -> None:
    client.reads.clear()  # its end of the connection is full
    client.send(b"".join(line(n) for n in range(10)), more=False)
    running = asyncio.create_task(client.exchange(Store()))
    await asyncio.sleep(0.01)
    client.leave()
    async with asyncio.timeout(5):
        await running
    assert not client.ended


async def test_two_batches_are_at_work_and_their_results_stay_in_order(client: Client) -> None:
    second_is_there, at_work = asyncio.Event(), 0

    async def work(items: Sequence[Item]) -> list[Answer]:
        nonlocal at_work
        at_work += 1
        assert at_work <= ndjson._BATCHES_AT_WORK
        if items[0].n == 0:
            await second_is_there.wait()
        second_is_there.set()
        at_work -= 1
        return [Taken("created", {}) for _ in items]

    client.send(b"".join(line(n) for n in range(3000)), more=False)
    async with asyncio.timeout(5):
        await client.exchange(work)
    assert [row["line"] for row in client.rows()[:-1]] == list(range(1, 3001))


async def test_what_concerns_the_same_thing_is_never_at_work_twice(client: Client) -> None:
    at_work: set[int] = set()
    done: list[str] = []

    async def work(items: Sequence[Item]) -> list[Answer]:
        keys = {item.n for item in items}
        assert not keys & at_work
        at_work.update(keys)
        for _ in range(20):
            await asyncio.sleep(0)
        at_work.difference_update(keys)
        done.extend(item.note for item in items if item.n == 0)
        return [Taken("created", {}) for _ in items]

    # Number 0 is in each batch but the third.
    lines = [line(0 if n % 500 == 7 and n // 500 != 2 else n + 1, note=str(n)) for n in range(3000)]
    client.send(b"".join(lines), more=False)
    await client.exchange(work)
    assert done == ["7", "507", "1507", "2007", "2507"]
    assert client.rows()[-1]["created"] == 3000


async def test_a_refusal_of_the_work_has_its_pointers(client: Client) -> None:
    client.send(line(1), more=False)
    await client.exchange(Store(lambda _: InvalidInput.at("/n", "Too odd.")))
    assert client.rows()[0]["errors"] == [{"pointer": "/n", "detail": "Too odd."}]
