"""Work in the background: goes on after failures, and ends with its block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from crm import background
from crm.background import Background
from crm.errors import Unavailable

pytestmark = pytest.mark.fast


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SHORTEST_REST", "_LONGEST_REST", "_BETWEEN_SWEEPS", "_AFTER_FAILURE"):
        monkeypatch.setattr(background, name, 0)


class Work:
    """Counts; fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.done = 0
        self.failures = failures
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> None:
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise Unavailable("away")
        self.done += 1


@asynccontextmanager
async def at_work(work: Work, *sweeps: Work) -> AsyncIterator[Background]:
    made = Background(work, *sweeps, late="things", logger="crm")
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


async def test_it_works_when_it_is_woken_and_once_more_at_the_end() -> None:
    work = Work()
    async with at_work(work) as made:
        await turns()
        assert work.done == 0
        made.wake()
        await until(lambda: work.done == 1)
        await turns()
        assert work.done == 1
    assert work.done == 2


async def test_who_is_woken_while_at_work_works_again() -> None:
    work = Work()
    async with at_work(work) as made:
        work.gate.clear()
        made.wake()
        await turns()
        made.wake()
        made.wake()
        work.gate.set()
        await until(lambda: work.done == 2)
        await turns()
        assert work.done == 2


async def test_a_failure_is_not_the_end() -> None:
    work, sweep = Work(failures=3), Work(failures=3)
    async with at_work(work, sweep) as made:
        made.wake()
        await until(lambda: work.done == 1 and sweep.done >= 2)


async def test_no_sweep_waits_for_another_or_for_the_work() -> None:
    work, slow, quick = Work(), Work(), Work()
    async with at_work(work, slow, quick) as made:
        work.gate.clear()
        slow.gate.clear()
        made.wake()
        await until(lambda: quick.done > 5)
        assert work.done == slow.done == 0
        work.gate.set()


async def test_an_end_without_a_database_or_with_too_much_to_do_is_an_end_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "_LONGEST_END", 0.05)
    for work in (Work(failures=1_000), Work()):
        async with at_work(work) as made:
            work.gate.clear() if not work.failures else None
            made.wake()
            await turns()
        assert work.done == 0
