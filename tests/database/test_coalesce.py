"""Single writes that come at the same time become one batch, and each caller gets its own result or error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import ContextVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.database.coalesce import ENOUGH, GroupCommit
from crm.errors import Conflict, CrmError, Unavailable

pytestmark = pytest.mark.fast

SPEAKER: ContextVar[str] = ContextVar("speaker", default="nobody")


class Writer:
    """Writes batches of texts: upper case is the result. Remembers what it was given.

    Args:
        most: Batches that may be with it at the same time.
        gate: Wait for ``open`` before a batch is written.
        answer: What a batch is answered with, or raises.
    """

    def __init__(
        self,
        *,
        most: int = 1,
        gate: bool = False,
        answer: Callable[[Sequence[str]], Sequence[str | CrmError]] | None = None,
    ) -> None:
        self.most = most
        self.batches: list[list[str]] = []
        self.at_once = 0
        self.open = asyncio.Event()
        if not gate:
            self.open.set()
        self.answer = answer or (lambda batch: [item.upper() for item in batch])

    async def __call__(self, batch: Sequence[str]) -> Sequence[str | CrmError]:
        self.batches.append(list(batch))
        self.at_once += 1
        assert self.at_once <= self.most, "too many batches at once"
        try:
            await self.open.wait()
            await asyncio.sleep(0)
            return self.answer(batch)
        finally:
            self.at_once -= 1


async def turns(count: int = 20) -> None:
    """Let every task run until it waits."""
    for _ in range(count):
        await asyncio.sleep(0)


def submit(commit: GroupCommit[str, str], *items: str) -> list[asyncio.Task[str]]:
    return [asyncio.create_task(commit.submit(item)) for item in items]


async def outcomes(tasks: list[asyncio.Task[str]]) -> list[str | BaseException]:
    async with asyncio.timeout(5):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_idle_service_writes_at_once() -> None:
    writer = Writer(gate=True)
    task = submit(GroupCommit("tests", writer), "a")
    # One turn for the caller, one for the runner: no timer is waited for.
    await turns(2)
    assert writer.batches == [["a"]]
    writer.open.set()
    assert await outcomes(task) == ["A"]


async def test_what_comes_while_a_batch_is_written_is_the_next_one() -> None:
    writer = Writer(gate=True)
    commit = GroupCommit("tests", writer)
    first = submit(commit, "a")
    await turns()
    later = submit(commit, *"bcdefg")
    await turns()
    assert writer.batches == [["a"]], "batches do not overlap"
    writer.open.set()
    assert await outcomes(first + later) == list("ABCDEFG")
    assert writer.batches == [["a"], list("bcdefg")], "in the order in which they came"


async def test_another_batch_begins_beside_one_when_enough_wait() -> None:
    writer = Writer(most=2, gate=True)
    commit = GroupCommit("tests", writer, at_once=2)
    tasks = submit(commit, "first")
    await turns()
    few, last = [f"a{n}" for n in range(ENOUGH - 1)], "enough"
    tasks += submit(commit, *few)
    await turns()
    assert writer.batches == [["first"]], "so few wait for the one at work"
    tasks += submit(commit, last)
    await turns()
    assert writer.batches == [["first"], [*few, last]]
    more = [f"b{n}" for n in range(3 * ENOUGH)]
    tasks += submit(commit, *more)
    await turns()
    assert len(writer.batches) == 2, "no third"
    writer.open.set()
    assert await outcomes(tasks) == [text.upper() for text in ("first", *few, last, *more)]
    assert await outcomes(submit(commit, "later")) == ["LATER"]


async def test_more_begin_beside_them_where_each_is_full() -> None:
    writer = Writer(most=3, gate=True)
    commit = GroupCommit("tests", writer, at_once=1, full_at_once=3, largest=4)
    tasks = submit(commit, "first")
    await turns()
    tasks += submit(commit, *"abc")
    await turns()
    assert writer.batches == [["first"]], "three wait for it: a batch of their own would not be full"
    tasks += submit(commit, *"defgh")
    await turns()
    assert writer.batches == [["first"], list("abcd"), list("efgh")]
    tasks += submit(commit, *"ijkl")
    await turns()
    assert len(writer.batches) == 3, "no fourth"
    writer.open.set()
    assert await outcomes(tasks) == [text.upper() for text in ("first", *"abcdefghijkl")]


async def test_what_has_the_same_key_is_never_in_two_batches_at_once() -> None:
    writer = Writer(most=2, gate=True)
    commit = GroupCommit("tests", writer, key=lambda item: item[0], at_once=2)
    tasks = submit(commit, "x1")
    await turns()
    others = [chr(ord("a") + n) for n in range(ENOUGH)]
    tasks += submit(commit, "x2", *others, "x3")
    await turns()
    assert writer.batches == [["x1"], others]
    writer.open.set()
    assert await outcomes(tasks) == ["X1", "X2", *(text.upper() for text in others), "X3"]
    at_x = [text for batch in writer.batches for text in batch if text[0] == "x"]
    assert at_x == ["x1", "x2", "x3"], "in the order in which they came"


@given(st.lists(st.integers(0, 40), max_size=200), st.integers(1, 3), st.integers(0, 5), st.integers(1, 30))
async def test_everybody_is_answered_once_and_no_key_overlaps(
    keys: list[int], at_once: int, full_at_once: int, largest: int
) -> None:
    at_work: set[int] = set()
    written: list[int] = []

    async def write(batch: Sequence[tuple[int, int]]) -> Sequence[int]:
        ours = {key for key, _ in batch}
        assert not ours & at_work
        at_work.update(ours)
        for _ in range(len(batch) % 3 + 1):
            await asyncio.sleep(0)
        at_work.difference_update(ours)
        written.extend(number for _, number in batch)
        return [number for _, number in batch]

    commit: GroupCommit[tuple[int, int], int] = GroupCommit(
        "tests", write, key=lambda item: item[0], at_once=at_once, full_at_once=full_at_once, largest=largest
    )

    async def come(number: int, key: int) -> int:
        for _ in range(number % 7):
            await asyncio.sleep(0)
        return await commit.submit((key, number))

    async with asyncio.timeout(5):
        answers = await asyncio.gather(*[come(number, key) for number, key in enumerate(keys)])
    assert answers == list(range(len(keys)))
    assert sorted(written) == answers


async def test_a_batch_has_a_largest_size() -> None:
    writer = Writer()
    tasks = submit(GroupCommit("tests", writer, largest=3), *"abcdefgh")
    assert await outcomes(tasks) == list("ABCDEFGH")
    assert writer.batches == [list("abc"), list("def"), list("gh")]


async def test_an_error_for_one_item_is_its_callers_alone() -> None:
    conflict = Conflict("no")
    writer = Writer(answer=lambda batch: [conflict if item == "b" else item.upper() for item in batch])
    assert await outcomes(submit(GroupCommit("tests", writer), *"abc")) == ["A", conflict, "C"]
    assert writer.batches == [list("abc")], "nothing is written twice"


@pytest.mark.parametrize("error", [RuntimeError("bad"), Conflict("bad")])
async def test_a_batch_that_fails_is_tried_item_by_item(error: Exception) -> None:
    def answer(batch: Sequence[str]) -> Sequence[str]:
        if "b" in batch:
            raise error
        return [item.upper() for item in batch]

    writer = Writer(answer=answer)
    commit = GroupCommit("tests", writer)
    assert await outcomes(submit(commit, *"abc")) == ["A", error, "C"]
    assert writer.batches == [list("abc"), ["a"], ["b"], ["c"]]
    assert await outcomes(submit(commit, "d")) == ["D"]


async def test_a_batch_with_too_few_answers_leaves_nobody_waiting() -> None:
    writer = Writer(answer=lambda batch: [item.upper() for item in batch[:1]])
    commit = GroupCommit("tests", writer)
    assert await outcomes(submit(commit, *"abc")) == ["A", "B", "C"], "one by one there are enough"
    writer.answer = lambda batch: batch[1:]
    (found,) = await outcomes(submit(commit, "a"))
    assert isinstance(found, ValueError)


async def test_a_database_that_is_away_is_told_to_all_and_asked_once() -> None:
    away = Unavailable("away", retry_after=2)

    def answer(batch: Sequence[str]) -> Sequence[str]:
        raise away

    writer = Writer(answer=answer)
    commit = GroupCommit("tests", writer)
    found = await outcomes(submit(commit, *"abc"))
    assert [type(outcome) for outcome in found] == [Unavailable] * 3
    assert writer.batches == [list("abc")], "item by item each would wait for the timeout"
    writer.answer = lambda batch: [item.upper() for item in batch]
    assert await outcomes(submit(commit, "d")) == ["D"]


async def test_only_so_many_wait() -> None:
    writer = Writer(gate=True)
    commit = GroupCommit("tests", writer, most_waiting=3)
    first = submit(commit, "a")
    await turns()
    waiting = submit(commit, *"bcd")
    await turns()
    with pytest.raises(Unavailable) as caught:
        await commit.submit("e")
    assert caught.value.retry_after
    writer.open.set()
    assert await outcomes(first + waiting) == list("ABCD")
    assert await outcomes(submit(commit, "f")) == ["F"]
    assert ["e"] not in writer.batches


async def test_who_is_cancelled_stops_waiting_and_harms_nobody() -> None:
    conflict = Conflict("no")
    writer = Writer(gate=True, answer=lambda batch: [conflict if item == "d" else item.upper() for item in batch])
    commit = GroupCommit("tests", writer)
    tasks = submit(commit, "a")
    await turns()
    tasks += submit(commit, *"bcd")
    await turns()
    for task in (tasks[0], tasks[1], tasks[3]):
        task.cancel()
    await turns()
    writer.open.set()
    found = await outcomes(tasks)
    assert [type(outcome) for outcome in found] == [asyncio.CancelledError] * 2 + [str, asyncio.CancelledError]
    # What was submitted is written all the same: its sender cannot know how far it got.
    assert writer.batches == [["a"], list("bcd")]


async def test_a_runner_that_is_ended_leaves_nobody_waiting() -> None:
    def answer(batch: Sequence[str]) -> Sequence[str]:
        if "a" in batch:
            raise asyncio.CancelledError
        return [item.upper() for item in batch]

    writer = Writer(gate=True, answer=answer)
    commit = GroupCommit("tests", writer)
    ended = submit(commit, "a")
    await turns()
    waiting = submit(commit, "b", "c")
    await turns()
    writer.open.set()
    assert [type(outcome) for outcome in await outcomes(ended)] == [asyncio.CancelledError]
    assert await outcomes(waiting) == ["B", "C"]
    assert await outcomes(submit(commit, "d")) == ["D"]


async def test_a_batch_belongs_to_no_request() -> None:
    heard: list[str] = []

    def answer(batch: Sequence[str]) -> Sequence[str]:
        heard.append(SPEAKER.get())
        return list(batch)

    commit = GroupCommit("tests", Writer(answer=answer))

    async def speak(item: str) -> str:
        SPEAKER.set(item)
        return await commit.submit(item)

    assert await asyncio.gather(*[speak(name) for name in ("ann", "bob")]) == ["ann", "bob"]
    assert set(heard) == {"nobody"}


async def test_what_is_a_list_itself_counts_for_as_much_as_it_holds() -> None:
    writer = Writer(gate=True)
    commit = GroupCommit("tests", writer, weight=len, largest=4, most_waiting=7)
    tasks = submit(commit, "a")
    await turns()
    tasks += submit(commit, "bb", "cc", "d", "eeeeee")
    await turns()
    with pytest.raises(Unavailable):
        await commit.submit("f")
    writer.open.set()
    assert await outcomes(tasks) == ["A", "BB", "CC", "D", "EEEEEE"]
    assert writer.batches == [["a"], ["bb", "cc"], ["d"], ["eeeeee"]], "the heavy one goes alone"
    assert await outcomes(submit(commit, "f")) == ["F"], "what was written weighs nothing any more"
