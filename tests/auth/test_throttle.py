"""How long failed sign-ins make one wait."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.auth.throttle import FORGOTTEN_AFTER, FREE_FAILURES, FREE_TRIES_OF_AN_ADDRESS, LONGEST, wait_after

pytestmark = pytest.mark.fast

_failures = st.integers(1, 2**31)
_free = st.integers(0, 100)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, 0), (5, 0), (6, 1), (7, 2), (8, 4), (9, 8), (10, 16), (11, 32), (12, 60), (13, 60), (2**31, 60)],
)
def test_typing_errors_are_free_then_the_wait_doubles_up_to_a_minute(failures: int, seconds: int) -> None:
    assert wait_after(failures) == timedelta(seconds=seconds)


@given(_failures, _free)
@settings(max_examples=100)
def test_another_failure_never_shortens_the_wait(failures: int, free: int) -> None:
    assert timedelta(0) <= wait_after(failures, free) <= wait_after(failures + 1, free) <= LONGEST
    assert (wait_after(failures, free) == timedelta(0)) is (failures <= free)


@given(_failures, _free)
@settings(max_examples=50)
def test_more_free_failures_never_lengthen_it(failures: int, free: int) -> None:
    assert wait_after(failures, free + 1) <= wait_after(failures, free)


def test_guessing_stays_hopeless_and_nobody_is_locked_out_for_long() -> None:
    assert timedelta(minutes=1) >= LONGEST
    assert FORGOTTEN_AFTER > LONGEST  # else waiting the block out would also earn new free tries
    tries_a_day = timedelta(days=1) / LONGEST + FREE_FAILURES
    assert tries_a_day < 2000


def test_an_office_behind_one_address_is_slowed_down_much_later() -> None:
    assert wait_after(10 * FREE_FAILURES, FREE_TRIES_OF_AN_ADDRESS) == timedelta(0)
    assert wait_after(FREE_TRIES_OF_AN_ADDRESS + 10, FREE_TRIES_OF_AN_ADDRESS) == LONGEST
