"""The life of an order."""

from __future__ import annotations

from itertools import product

import pytest

from crm.orders.states import MOVES, NOT_COUNTED, STATUSES, Status, may_move

pytestmark = pytest.mark.fast

ALLOWED = {
    ("pending", "paid"), ("pending", "cancelled"),
    ("paid", "fulfilled"), ("paid", "cancelled"), ("paid", "partially_refunded"), ("paid", "refunded"),
    ("fulfilled", "delivered"), ("fulfilled", "partially_refunded"), ("fulfilled", "refunded"),
    ("delivered", "partially_refunded"), ("delivered", "refunded"),
    ("partially_refunded", "fulfilled"), ("partially_refunded", "delivered"), ("partially_refunded", "refunded"),
}  # fmt: skip


@pytest.mark.parametrize(("now", "then"), list(product(STATUSES, STATUSES)))
def test_every_pair_of_states(now: Status, then: Status) -> None:
    assert may_move(now, then) is (now == then or (now, then) in ALLOWED)


def test_every_state_has_its_moves_and_no_move_leads_nowhere() -> None:
    assert MOVES.keys() == set(STATUSES)
    assert all(then <= MOVES.keys() for then in MOVES.values())


def test_money_that_was_given_back_ends_an_order() -> None:
    assert {status for status in STATUSES if not MOVES[status]} == {"cancelled", "refunded"}


def test_every_state_can_be_reached_from_the_first() -> None:
    reached: set[Status] = {"pending"}
    for _ in STATUSES:
        reached |= {then for now in reached for then in MOVES[now]}
    assert reached == set(STATUSES)


def test_nothing_that_was_paid_for_can_be_cancelled_once_it_is_sent() -> None:
    assert not may_move("fulfilled", "cancelled")
    assert not may_move("delivered", "cancelled")


def test_totals_leave_out_what_was_cancelled_only() -> None:
    assert NOT_COUNTED == ("cancelled",)
