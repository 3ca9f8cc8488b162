"""The background task: settles what is due, holds senders back, and goes on when the database was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from crm import background
from crm.errors import Unavailable
from crm.orders import projector
from crm.orders.projector import Projector

pytestmark = pytest.mark.fast


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_BETWEEN_TURNS", "_LONGEST_REST"):
        monkeypatch.setattr(projector, name, 0)
    for name in ("_BETWEEN_SWEEPS", "_AFTER_FAILURE"):
        monkeypatch.setattr(background, name, 0)


class Work:
    """Remembers what was settled; fails as often as it is told, and for some customers always."""

    def __init__(self) -> None:
        self.settled: list[tuple[list[str], list[str]]] = []
        self.failures = 0
        self.sweeps = 0
        self.sweeps_that_fail = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.done = asyncio.Event()

    async def settle(self, marks: list[str], customer_ids: list[str]) -> None:
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise Unavailable("away")
        self.settled.append((marks, customer_ids))
        self.done.set()

    async def take_over(self) -> None:
        self.sweeps += 1
        if self.sweeps <= self.sweeps_that_fail:
            raise Unavailable("away")


@asynccontextmanager
async def at_work(work: Work, *, most_behind: int = 100) -> AsyncIterator[Projector]:
    made = Projector(work.settle, work.take_over, most_behind=most_behind)
    async with asyncio.timeout(5), made.at_work():
        yield made


async def until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(0)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_came_meanwhile_is_settled_together() -> None:
    work = Work()
    work.gate.clear()
    async with at_work(work) as made:
        made.due("due_1", {"ann"})
        await turns()
        made.due("due_2", {"bob", "ann"})
        made.due("due_3", {"bob"})
        await turns()
        work.gate.set()
        await until(lambda: len(work.settled) == 2)
    assert work.settled == [(["due_1"], ["ann"]), (["due_2", "due_3"], ["ann", "bob"])]


async def test_a_database_that_was_away_loses_nothing() -> None:
    work = Work()
    work.failures = 3
    async with at_work(work) as made:
        made.due("due_1", {"ann"})
        await work.done.wait()
        assert work.settled == [(["due_1"], ["ann"])]
        work.done.clear()
        made.due("due_2", {"bob"})
        await work.done.wait()
    assert work.settled[1:] == [(["due_2"], ["bob"])]


async def test_a_sweep_that_fails_is_not_the_last() -> None:
    work = Work()
    work.sweeps_that_fail = 3
    async with at_work(work):
        await until(lambda: work.sweeps == 5)


async def test_senders_wait_while_too_much_is_due() -> None:
    work = Work()
    work.gate.clear()
    async with at_work(work, most_behind=3) as made:
        made.due("due_1", {"ann", "bob"})
        await asyncio.wait_for(made.room(), 1)
        made.due("due_2", {"ann"})
        waiting = [asyncio.create_task(made.room()) for _ in range(3)]
        await turns()
        assert not any(task.done() for task in waiting)
        work.gate.set()
        await asyncio.gather(*waiting)
        await made.room()


async def test_what_is_due_at_the_end_is_settled() -> None:
    work = Work()
    async with at_work(work) as made:
        made.due("due_1", {"ann"})
    assert work.settled == [(["due_1"], ["ann"])]


async def test_an_end_without_a_database_is_an_end_all_the_same() -> None:
    work = Work()
    work.failures = 1000
    async with at_work(work) as made:
        made.due("due_1", {"ann"})
        await turns()
    assert work.settled == []
