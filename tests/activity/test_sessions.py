"""Visits end with half an hour of silence."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.activity.sessions import SILENCE, last_visit
from tests.activity.happenings import after, event, events, page
from tests.fixtures.rows import Row

pytestmark = pytest.mark.fast


def test_nobody_who_did_nothing_was_here() -> None:
    assert last_visit([]) is None


def test_a_visit_is_what_lies_less_than_half_an_hour_apart() -> None:
    rows = [
        page(0, "https://shop.example.com/before"),
        event(31, "product_viewed"),
        page(61, "https://shop.example.com/mugs"),
        page(62, "https://shop.example.com/mugs/1"),
        event(80, type_="screen"),
    ]
    assert last_visit(rows) == {
        "started_at": after(31),
        "last_at": after(80),
        "events": 4,
        "pages": 3,
        "entry_url": "https://shop.example.com/mugs",
    }


def test_half_an_hour_to_the_millisecond_is_one_visit() -> None:
    at = after(30)
    for gap, length in ((0, 2), (1, 1)):
        rows = [event(0), {**event(0), "occurred_at": at + timedelta(milliseconds=gap)}]
        assert (last_visit(rows) or {})["events"] == length


def test_a_visit_without_addresses_has_no_entry() -> None:
    assert (last_visit([event(0), page(1)]) or {})["entry_url"] is None


@given(events(), st.randoms())
def test_any_order_is_the_same_visit(rows: list[Row], dice: Random) -> None:
    shuffled = list(rows)
    dice.shuffle(shuffled)
    assert last_visit(shuffled) == last_visit(rows)


@given(events())
def test_a_visit_has_no_silence_and_there_is_one_before_it(rows: list[Row]) -> None:
    visit = last_visit(rows)
    if visit is None:
        assert rows == []
        return
    times = sorted(row["occurred_at"] for row in rows)
    within = [at for at in times if at >= visit["started_at"]]
    before = [at for at in times if at < visit["started_at"]]
    assert (visit["last_at"], visit["events"]) == (times[-1], len(within))
    assert all(later - earlier <= SILENCE for earlier, later in pairwise(within))
    assert not before or visit["started_at"] - before[-1] > SILENCE
