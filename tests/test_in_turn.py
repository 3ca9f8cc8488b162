"""What concerns the same thing happens in order, the rest at the same time."""

from __future__ import annotations

import asyncio

import pytest

from crm.errors import Conflict, CrmError
from crm.in_turn import each_in_turn

pytestmark = pytest.mark.fast


async def test_results_are_in_order_and_the_same_key_is_never_at_work_twice() -> None:
    at_work: list[str] = []
    most = 0
    done: list[tuple[str, int]] = []

    async def work(item: tuple[str, int]) -> int:
        nonlocal most
        assert item[0] not in at_work
        at_work.append(item[0])
        most = max(most, len(at_work))
        for _ in range(item[1] % 3):
            await asyncio.sleep(0)
        at_work.remove(item[0])
        done.append(item)
        return item[1]

    items = [("abcdefgh"[n * 7 % 8], n) for n in range(100)]
    assert await each_in_turn(items, lambda item: item[0], work, at_most=4) == list(range(100))
    assert most == 4
    for key in "abcdefgh":
        mine = [n for k, n in done if k == key]
        assert mine == sorted(mine)
        assert mine


async def test_a_refusal_stays_in_its_place() -> None:
    async def work(item: int) -> int:
        if item % 2:
            raise Conflict("odd")
        return item

    results = await each_in_turn([0, 1, 2, 3], lambda item: item, work)
    assert [r if isinstance(r, int) else r.detail for r in results] == [0, "odd", 2, "odd"]
    assert isinstance(results[1], CrmError)
    assert await each_in_turn([], lambda item: item, work) == []


async def test_a_fault_is_not_swallowed() -> None:
    async def work(item: int) -> int:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await each_in_turn([1], lambda item: item, work)
