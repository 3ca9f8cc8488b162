"""Whoever asks is covered by a run that began after the question; the rest is shared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from crm.orders.single_flight import SingleFlight

pytestmark = pytest.mark.fast


class Work:
    """A job that waits to be let through, counts its runs, and fails where it is told to."""

    def __init__(self, *, fails: Callable[[int], bool] = lambda _run: False) -> None:
        self.runs = 0
        self.at_once = 0
        self.most_at_once = 0
        self.gate = asyncio.Event()
        self.fails = fails

    async def __call__(self) -> None:
        self.runs += 1
        run = self.runs
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)  # as work does that talks to a database
            await self.gate.wait()
            if self.fails(run):
                raise RuntimeError(f"run {run}")
        finally:
            self.at_once -= 1


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


def ask(flights: SingleFlight, work: Work, times: int = 1, key: str = "cus_1") -> list[asyncio.Task[None]]:
    return [asyncio.create_task(flights.run(key, work)) for _ in range(times)]


async def test_who_arrives_during_a_run_shares_the_next_one() -> None:
    flights, work = SingleFlight(), Work()
    first = ask(flights, work)
    await settle()
    late = ask(flights, work, 50)
    await settle()
    assert work.runs == 1
    work.gate.set()
    await asyncio.gather(*first, *late)
    assert work.runs == 2


async def test_a_run_that_had_begun_covers_nobody_who_came_later() -> None:
    """It may have read before the order of the one who came later was stored: totals would miss an order."""
    flights = SingleFlight()
    stored, seen = ["first"], list[str]()
    reading = asyncio.Event()
    go_on = asyncio.Event()

    async def project() -> None:
        read = list(stored)
        reading.set()
        await go_on.wait()
        seen[:] = read

    one = asyncio.create_task(flights.run("cus_1", project))
    await reading.wait()
    stored.append("second")
    other = asyncio.create_task(flights.run("cus_1", project))
    await settle()
    go_on.set()
    await asyncio.gather(one, other)
    assert seen == ["first", "second"]


async def test_many_who_ask_at_once_cost_two_runs() -> None:
    flights, work = SingleFlight(), Work()
    work.gate.set()
    async with asyncio.timeout(5):
        await asyncio.gather(*ask(flights, work, 50))
    # One that begins at once, and one for all that asked while it ran.
    assert work.runs <= 2


async def test_one_key_at_a_time_but_keys_side_by_side() -> None:
    flights, work = SingleFlight(), Work()
    tasks = [task for key in ("a", "b", "c") for task in ask(flights, work, 10, key)]
    await settle()
    assert work.at_once == 3
    work.gate.set()
    await asyncio.gather(*tasks)
    assert work.most_at_once == 3
    assert work.runs == 6


async def test_a_failure_reaches_the_one_who_ran_and_the_others_try_again() -> None:
    flights, work = SingleFlight(), Work(fails=lambda run: run <= 2)
    tasks = ask(flights, work, 5)
    await settle()
    work.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes if outcome is not None] == ["run 1", "run 2"]
    assert outcomes.count(None) == 3
    assert work.runs == 3


async def test_when_every_run_fails_everybody_is_told_and_nobody_hangs() -> None:
    flights, work = SingleFlight(), Work(fails=lambda _run: True)
    work.gate.set()
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*ask(flights, work, 10), return_exceptions=True)
    assert all(isinstance(outcome, RuntimeError) for outcome in outcomes)
    assert not flights._flights


async def test_one_who_gives_up_waiting_does_not_take_the_others_along() -> None:
    flights, work = SingleFlight(), Work()
    tasks = ask(flights, work, 5)
    await settle()
    tasks[2].cancel()
    await settle()
    work.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[2], asyncio.CancelledError)
    assert outcomes.count(None) == 4
    assert work.runs == 2


async def test_when_the_one_who_runs_is_cancelled_another_runs_for_the_rest() -> None:
    flights, work = SingleFlight(), Work()
    runner, *others = ask(flights, work, 4)
    await settle()
    runner.cancel()
    await settle()
    work.gate.set()
    outcomes = await asyncio.gather(runner, *others, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1:] == [None, None, None]
    assert work.runs == 2


@pytest.mark.parametrize("cancelled", [False, True])
async def test_nothing_is_kept_of_a_key_that_nobody_asks_for(cancelled: bool) -> None:
    """One entry for each customer for ever would be a leak."""
    flights, work = SingleFlight(), Work()
    tasks = [task for n in range(20) for task in ask(flights, work, 3, f"cus_{n}")]
    await settle()
    assert len(flights._flights) == 20
    if cancelled:
        for task in tasks:
            task.cancel()
    work.gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not flights._flights


async def test_a_later_question_starts_a_new_run() -> None:
    flights, work = SingleFlight(), Work()
    work.gate.set()
    for expected in (1, 2, 3):
        await flights.run("cus_1", work)
        assert work.runs == expected
