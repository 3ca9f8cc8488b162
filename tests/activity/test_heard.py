"""What was heard of and is not told yet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.activity.heard import Due, Heard
from tests.activity.happenings import after

pytestmark = pytest.mark.fast
LATER = after(1_000)


def test_what_came_since_is_taken_together() -> None:
    heard = Heard()
    assert heard.take() is None
    heard.add({"idn_1"}, after(2))
    heard.add(["idn_2", "idn_1"], after(1))
    assert heard.take() == Due({"idn_1", "idn_2"}, after(1))
    heard.settled()
    assert heard.take() is None


def test_what_was_taken_and_not_told_is_taken_again() -> None:
    heard = Heard()
    heard.add({"idn_1"}, after(2))
    heard.take()
    assert heard.take() == Due({"idn_1"}, after(2))
    heard.add({"idn_2"}, after(3))
    assert heard.take() == Due({"idn_1", "idn_2"}, after(2))


def test_what_cannot_be_told_time_after_time_does_not_grow() -> None:
    heard = Heard(most=2)
    for number in range(3):
        heard.add({f"idn_{number}"}, after(number))
        due = heard.take()
    assert due == Due(None, after(0))


def test_many_are_forgotten_but_not_since_when() -> None:
    heard = Heard(most=2)
    heard.add({"idn_1", "idn_2"}, after(2))
    heard.add({"idn_3"}, after(3))
    heard.add({"idn_4"}, after(1))
    assert heard.take() == Due(None, after(1))
    heard.add({"idn_5"}, after(4))
    assert heard.take() == Due(None, after(1))
    heard.settled()
    heard.add({"idn_6"}, after(5))
    assert heard.take() == Due({"idn_6"}, after(5))


def test_it_is_clean_up_to_the_first_that_is_not_told() -> None:
    heard = Heard()
    assert heard.clean_up_to(LATER) == LATER
    heard.add({"idn_1"}, after(2))
    assert heard.clean_up_to(LATER) == after(2)
    heard.take()
    assert heard.clean_up_to(LATER) == after(2)
    heard.add({"idn_2"}, after(1))
    assert heard.clean_up_to(LATER) == after(1)
    heard.take()
    heard.settled()
    assert heard.clean_up_to(LATER) == LATER
    heard.add({"idn_3"}, LATER)
    assert heard.clean_up_to(after(3)) == after(3)


STEPS = st.lists(st.one_of(st.tuples(st.integers(0, 9), st.integers(0, 99)), st.sampled_from(("take", "settled"))))


@given(STEPS, st.integers(0, 5))
def test_nothing_is_lost_and_little_is_kept(steps: list[tuple[int, int] | str], most: int) -> None:
    heard = Heard(most)
    untold: list[tuple[str, int]] = []
    taken: list[tuple[str, int]] = []
    for step in steps:
        if isinstance(step, tuple):
            heard.add([f"idn_{step[0]}"], after(step[1]))
            untold.append((f"idn_{step[0]}", step[1]))
        elif step == "take":
            due, taken = heard.take(), list(untold)
            assert (due is None) == (not taken)
            if due is not None:
                assert due.since == after(min(minute for _, minute in taken))
                assert due.identity_ids is None or due.identity_ids == {name for name, _ in taken}
        else:
            heard.settled()
            untold, taken = untold[len(taken) :], []
        assert heard.clean_up_to(LATER) == min((after(minute) for _, minute in untold), default=LATER)
        known = [due.identity_ids for due in (heard._new, heard._taken) if due and due.identity_ids]
        assert all(len(ids) <= most for ids in known)
