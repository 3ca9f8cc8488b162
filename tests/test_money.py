"""Amounts are exact, in the decimals that ISO 4217 gives their currency, and never a float."""

from __future__ import annotations

import ast
from decimal import Decimal
from pathlib import Path

import pycountry
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crm
from crm import money
from crm.errors import InvalidAmount

pytestmark = pytest.mark.fast

#: The modules through which every amount passes.
_EXACT = ("money.py", "orders/totals.py", "orders/mapping.py", "orders/projection.py", "database/ids.py")


def amounts_in(currency: str) -> st.SearchStrategy[Decimal]:
    """Every amount that the wire format can spell in a currency."""
    return st.integers(0, 10**12 - 1).map(lambda n: Decimal(n).scaleb(-money.minor_units(currency)))


@pytest.mark.parametrize(
    ("text", "currency", "exact"),
    [
        ("12.5", "GBP", "12.50"),
        ("12.50", "GBP", "12.50"),
        ("0", "GBP", "0.00"),
        ("007", "GBP", "7.00"),
        ("999999999999.99", "GBP", "999999999999.99"),
        ("1200", "JPY", "1200"),
        ("1200.00", "JPY", "1200"),
        ("1.5", "KWD", "1.500"),
        ("12.500", "GBP", "12.50"),
    ],
)
def test_an_amount_gets_the_decimals_of_its_currency(text: str, currency: str, exact: str) -> None:
    value = money.amount(text, currency)
    assert (str(value), type(value)) == (exact, Decimal)


@pytest.mark.parametrize(("text", "currency"), [("12.505", "GBP"), ("0.1", "JPY"), ("1.2345", "KWD")])
def test_more_decimals_than_the_currency_has_are_refused_not_rounded(text: str, currency: str) -> None:
    with pytest.raises(InvalidAmount) as caught:
        money.amount(text, currency, pointer="/total")
    (error,) = caught.value.errors
    assert error.pointer == "/total"
    assert text not in error.detail


@pytest.mark.parametrize(
    "text",
    [
        *("", " 1", "1 ", "1\n", "-1", "+1", "1e3", "1.", ".5", "1,50", "1.2.3", "1_000", "0x10", "NaN", "Infinity"),
        *("١٢", "１２", "1.23456", "1234567890123", "\x001"),
    ],
)
def test_anything_but_a_plain_decimal_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidAmount) as caught:
        money.amount(text, "KWD")
    assert caught.value.errors[0].pointer == "/amount"


@given(st.text(max_size=20), st.sampled_from(["GBP", "JPY", "KWD"]))
@settings(max_examples=100)
def test_no_text_raises_anything_but_our_error(text: str, currency: str) -> None:
    try:
        value = money.amount(text, currency)
    except InvalidAmount:
        return
    assert 0 <= value < money.LARGEST


@pytest.mark.parametrize(("currency", "digits"), [("GBP", 2), ("JPY", 0), ("KWD", 3), ("IQD", 3), ("AFN", 2)])
def test_minor_units_are_those_of_iso_4217(currency: str, digits: int) -> None:
    assert money.minor_units(currency) == digits
    assert money.zero(currency).as_tuple().exponent == -digits


@pytest.mark.parametrize("code", ["", "gbp", "GB", "XXX", "XAU", "ZZZ", "USN", "£"])
def test_a_currency_that_nobody_sells_in_is_refused_at_its_field(code: str) -> None:
    with pytest.raises(InvalidAmount) as caught:
        money.minor_units(code)
    assert caught.value.errors[0].pointer == "/currency"


def test_every_code_of_the_standard_is_either_sold_in_or_left_out_on_purpose() -> None:
    listed = {c.alpha_3 for c in pycountry.currencies}
    left_out = listed - set(money.currencies())
    funds = {"BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW"}
    assert all(code.startswith("X") for code in left_out - funds)  # X: metals and what is no country's money
    assert {"EUR", "USD", "GBP", "JPY", "CHF", "INR", "XAF", "XCD"} <= set(money.currencies())
    assert list(money.currencies()) == sorted(set(money.currencies()))
    assert {money.minor_units(code) for code in money.currencies()} == {0, 2, 3}


def test_the_table_of_minor_units_names_only_codes_that_exist() -> None:
    """A typing error in it would silently give a currency two decimals."""
    named = {code for codes in money._OTHER_MINOR_UNITS.values() for code in codes}
    assert named <= set(money.currencies())
    assert len(named) == sum(len(codes) for codes in money._OTHER_MINOR_UNITS.values())


def test_grouping_by_minor_units_loses_no_currency() -> None:
    groups = money.currencies_by_minor_units()
    assert sorted(code for codes in groups.values() for code in codes) == list(money.currencies())
    assert "JPY" in groups[0]
    assert "GBP" in groups[2]
    assert "KWD" in groups[3]


@given(st.data(), st.sampled_from(["GBP", "JPY", "KWD", "EUR", "XAF", "TND"]))
@settings(max_examples=150)
def test_what_is_written_out_reads_back_the_same(data: st.DataObject, currency: str) -> None:
    value = data.draw(amounts_in(currency))
    again = money.amount(money.text(value, currency), currency)
    assert (str(again), money.text(again, currency)) == (f"{value:f}", f"{value:f}")


@pytest.mark.parametrize(
    ("stored", "currency", "shown"),
    [
        ("12.5", "GBP", "12.50"),
        ("1E+3", "GBP", "1000.00"),
        ("1E+3", "JPY", "1000"),
        ("-0.00", "GBP", "0.00"),
        ("-3.5", "GBP", "-3.50"),
        ("0E-8", "KWD", "0.000"),
        ("1.2345", "GBP", "1.2345"),  # stored by somebody else: shown, not rounded
        ("999999999999999.999", "KWD", "999999999999999.999"),
    ],
)
def test_an_amount_is_written_out_in_digits(stored: str, currency: str, shown: str) -> None:
    assert money.text(Decimal(stored), currency) == shown


@given(st.lists(st.integers(0, 10**15 - 1), max_size=50), st.sampled_from(["GBP", "JPY", "KWD"]))
@settings(max_examples=100)
def test_sums_are_those_of_the_smallest_units(units: list[int], currency: str) -> None:
    digits = money.minor_units(currency)
    added = money.total([Decimal(n).scaleb(-digits) for n in units], currency)
    assert added.scaleb(digits) == sum(units)
    assert added.as_tuple().exponent == -digits


def test_the_sum_of_an_order_as_large_as_allowed_is_exact() -> None:
    line = money.amount("999999999999.99", "GBP") * 1_000_000
    assert money.total([line] * 1000, "GBP") == Decimal("999999999999990000000.00")


@pytest.mark.parametrize("name", _EXACT)
def test_no_float_where_amounts_are(name: str) -> None:
    tree = ast.parse((Path(crm.__file__).parent / name).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), f"{name}:{node.lineno}"
        assert not (isinstance(node, ast.Name) and node.id in {"float", "round"}), f"{name}:{node.lineno}"
        assert not (isinstance(node, ast.Div | ast.Pow) and name != "money.py"), name


@pytest.mark.parametrize(
    ("net", "rate", "currency", "expected"),
    [
        ("12.50", "0.20", "GBP", "2.50"), ("0.625", "0.2", "KWD", "0.125"), ("10.25", "0.1", "GBP", "1.02"),
        ("10.35", "0.1", "GBP", "1.04"), ("25", "0.1", "JPY", "2"), ("35", "0.1", "JPY", "4"),
        ("0.0125", "0.1", "KWD", "0.001"), ("0", "0.2", "GBP", "0.00"), ("99", "0", "JPY", "0"),
    ],
)  # fmt: skip
def test_a_tax_is_rounded_half_to_even(net: str, rate: str, currency: str, expected: str) -> None:
    assert str(money.tax(Decimal(net), Decimal(rate), currency)) == expected


@given(st.lists(st.integers(0, 10**6), min_size=1), st.sampled_from(["GBP", "JPY", "KWD"]))
def test_the_taxes_of_many_lines_are_off_by_half_a_smallest_unit_each(minor: list[int], currency: str) -> None:
    smallest = Decimal(1).scaleb(-money.minor_units(currency))
    nets, rate = [n * smallest for n in minor], Decimal("0.0875")
    taxes = [money.tax(net, rate, currency) for net in nets]
    assert abs(sum(taxes) - sum(nets) * rate) <= len(nets) * smallest / 2
    assert all(tax == tax.quantize(smallest) for tax in taxes)
