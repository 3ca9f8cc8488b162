"""An export to a client that is played: one page at a time, a slow client, one that goes, a database that is away."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from crm.database.paging import Page, PageRequest
from crm.errors import Unavailable
from crm.exports import service
from crm.exports.formats import Ndjson
from crm.exports.routes import Sent
from crm.exports.service import PAGE, Export
from crm.identity import SYSTEM
from crm.web.schemas import WireOut

pytestmark = pytest.mark.fast


class Item(WireOut):
    n: int
    text: str = "x" * 500

    __hash__ = object.__hash__


class List:
    """A list of some length that keeps track of its pages."""

    def __init__(self, length: int, trouble: Callable[[int], None] = lambda _: None) -> None:
        self.length = length
        self.trouble = trouble
        self.asked: list[str | None] = []
        self.alive: weakref.WeakSet[Item] = weakref.WeakSet()
        self.most_alive = 0

    async def read(self, request: PageRequest) -> Page[Any]:
        await asyncio.sleep(0)
        self.asked.append(request.cursor)
        self.trouble(len(self.asked))
        start = int(request.cursor or 0)
        items = [Item(n=n) for n in range(start, min(start + request.limit, self.length))]
        for item in items:
            self.alive.add(item)
        self.most_alive = max(self.most_alive, len(self.alive))
        end = start + request.limit
        return Page(items, str(end) if end < self.length else None)


class Client:
    """Counts what it gets; ``at`` is called with the number of bytes before each part is taken."""

    def __init__(self, at: Callable[[int], Awaitable[None]] | None = None) -> None:
        self.at = at
        self.status = 0
        self.size = 0
        self.lines = 0
        self.ended = False
        self.left = asyncio.Event()

    async def receive(self) -> Any:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        if self.at is not None:
            await self.at(self.size)
        self.size += len(message["body"])
        self.lines += message["body"].count(b"\n")
        self.ended = not message["more_body"]

    async def take(self, export: Export) -> None:
        await export.begin()
        await Sent(export, {})(cast("Any", {}), self.receive, self.send)


def export_of(list_: List, cursor: str | None = None) -> Export:
    return Export(SYSTEM, "items", list_.read, Ndjson(), cursor=cursor)


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_WAITS", (0.0, 0.0, 0.0))


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the audit log gets."""
    out: list[dict[str, Any]] = []

    async def record(principal: Any, action: Any, targets: Any = (), details: Any = None) -> None:
        out.append({"action": str(action.value), **details})

    monkeypatch.setattr("crm.audit.service.record", record)
    return out


@pytest.mark.parametrize("length", [0, 1, PAGE - 1, PAGE, PAGE + 1, 5 * PAGE])
async def test_everything_goes_out_once(length: int, recorded: list[dict[str, Any]]) -> None:
    list_, client = List(length), Client()
    export = export_of(list_)
    await client.take(export)
    assert (client.status, client.lines, client.ended, export.items) == (200, length, True, length)
    assert len(list_.asked) == max(1, -(-length // PAGE))
    assert recorded[-1] == {"action": "export.end", "list": "items", "items": length, "complete": True}


async def test_memory_does_not_grow_with_the_list() -> None:
    async def peak(length: int) -> int:
        list_, client = List(length), Client()
        gc.collect()
        tracemalloc.start()
        try:
            await client.take(export_of(list_))
            assert client.lines == length
            assert list_.most_alive <= 2 * PAGE  # the page that has gone out is let go when the next is there
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    await peak(PAGE)  # what is made once
    # A tenth of what a list held as a whole would take. What else Python allocates meanwhile differs by a half.
    assert await peak(100 * PAGE) < 3 * await peak(10 * PAGE)


async def test_nothing_is_read_that_a_slow_client_has_no_use_for_yet() -> None:
    list_, waiting, go = List(50 * PAGE), asyncio.Event(), asyncio.Event()

    async def slow(size: int) -> None:
        if size:
            waiting.set()
            await go.wait()

    client = Client(slow)
    task = asyncio.create_task(client.take(export_of(list_)))
    await waiting.wait()
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(list_.asked) == 2
    go.set()
    await task
    assert client.lines == 50 * PAGE


async def test_who_goes_away_is_read_no_further_for(recorded: list[dict[str, Any]]) -> None:
    list_ = List(50 * PAGE)

    async def leave(size: int) -> None:
        if size:
            client.left.set()

    client = Client(leave)
    export = export_of(list_)
    await client.take(export)
    assert not client.ended
    assert len(list_.asked) <= 4
    assert export.items < 4 * PAGE
    begin = {"action": "export.begin", "list": "items", "format": "ndjson"}
    assert recorded == [begin, {"action": "export.end", "list": "items", "items": export.items, "complete": False}]


async def test_a_page_is_tried_again_while_the_database_is_away() -> None:
    def away(call: int) -> None:
        if call in {2, 3, 5}:
            raise Unavailable("Away.", retry_after=1)

    list_, client = List(3 * PAGE, away), Client()
    await client.take(export_of(list_))
    assert (client.lines, client.ended) == (3 * PAGE, True)


async def test_what_is_not_whole_does_not_look_as_if_it_were() -> None:
    def gone(call: int) -> None:
        if call > 2:
            raise Unavailable("Away.", retry_after=1)

    list_, client = List(5 * PAGE, gone), Client()
    export = export_of(list_)
    with pytest.raises(Unavailable):
        await client.take(export)
    assert (client.lines, client.ended) == (2 * PAGE, False)
    # Where it ended, it can go on.
    rest, other = export_of(List(5 * PAGE), cursor=export.cursor), Client()
    await other.take(rest)
    assert client.lines + other.lines == 5 * PAGE
