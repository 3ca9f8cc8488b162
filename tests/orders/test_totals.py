"""What an order adds up to, to the last digit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm import money
from crm.orders.totals import Line, order_total

pytestmark = pytest.mark.fast

D = Decimal


def test_a_line_is_quantity_times_price_less_discount_plus_tax() -> None:
    line = Line(3, D("4.50"), D("0.50"), D("1.70"))
    assert (str(line.price()), str(line.total())) == ("13.50", "14.70")


def test_an_order_is_its_lines_less_discount_plus_tax_and_shipping() -> None:
    lines = [Line(2, D("4.50"), D("0.50"), D("1.70")), Line(1, D("3.00"), D("0.00"), D("0.00"))]
    total = order_total(lines, discount=D("1.00"), tax=D("0.00"), shipping=D("2.99"), currency="GBP")
    assert str(total) == "15.19"


@pytest.mark.parametrize(("currency", "nothing"), [("GBP", "0.00"), ("JPY", "0"), ("KWD", "0.000")])
def test_an_order_of_nothing_has_the_decimals_of_its_currency(currency: str, nothing: str) -> None:
    zero = money.zero(currency)
    assert str(order_total([], discount=zero, tax=zero, shipping=zero, currency=currency)) == nothing


def test_tenths_do_not_drift() -> None:
    """With floats, 0.1 + 0.2 is not 0.3 and a thousand tenths are not a hundred."""
    lines = [Line(1, D("0.10"), D("0.00"), D("0.00"))] * 1000
    zero = D("0.00")
    assert str(order_total(lines, discount=zero, tax=zero, shipping=zero, currency="GBP")) == "100.00"


def test_the_largest_order_is_exact() -> None:
    """A thousand lines of a million pieces of the highest price: no digit is rounded away."""
    line = Line(1_000_000, D("999999999999.999"), D("0.000"), D("0.001"))
    zero = D("0.000")
    total = order_total([line] * 1000, discount=zero, tax=zero, shipping=D("0.001"), currency="KWD")
    assert str(total) == "999999999999999000001.001"


_units = st.integers(0, 10**9)


@given(
    st.lists(st.tuples(st.integers(1, 1_000_000), _units, _units, _units), max_size=20),
    _units,
    _units,
    _units,
    st.sampled_from(["GBP", "JPY", "KWD"]),
)
@settings(max_examples=150)
def test_the_total_is_that_of_the_smallest_units(
    lines: list[tuple[int, int, int, int]], discount: int, tax: int, shipping: int, currency: str
) -> None:
    """Integers cannot round, so they are the judge."""
    digits = money.minor_units(currency)

    def amount(units: int) -> Decimal:
        return D(units).scaleb(-digits)

    total = order_total(
        [Line(quantity, amount(price), amount(off), amount(added)) for quantity, price, off, added in lines],
        discount=amount(discount),
        tax=amount(tax),
        shipping=amount(shipping),
        currency=currency,
    )
    judge = sum(quantity * price - off + added for quantity, price, off, added in lines) - discount + tax + shipping
    assert total.scaleb(digits) == judge
    assert total.as_tuple().exponent == -digits
