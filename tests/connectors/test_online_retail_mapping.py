"""Every line of the real file is accounted for, and each kind of invoice is told from the others."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crm
from crm.connectors.online_retail.mapping import (
    COLUMNS,
    BadLine,
    CreditNote,
    Line,
    NotASale,
    Outcome,
    SaleOrder,
    Unreadable,
    classify,
    collect_products,
    group_invoices,
    is_product,
    read_lines,
)

pytestmark = pytest.mark.fast

FILE = Path(crm.__file__).parent / "sample" / "online_retail_2010-12.csv.gz"


def row(**changes: str) -> dict[str, str]:
    usual = ("536365", "85123A", "HANGING HEART ", "6", "01/12/2010 08:26", "2.55", "17850", "United Kingdom")
    return {**dict(zip(COLUMNS, usual, strict=True)), **changes}


def outcomes(*rows: dict[str, str]) -> list[Outcome]:
    return [classify(invoice) for invoice in group_invoices(read_lines(rows))]


def only(*rows: dict[str, str]) -> Outcome:
    (outcome,) = outcomes(*rows)
    return outcome


def lines_of(outcome: Outcome) -> list[int]:
    left_out = outcome.left_out if isinstance(outcome, SaleOrder) else ()
    return [*outcome.lines, *(line.line for line in left_out)]


@cache
def real_lines() -> list[Line | BadLine]:
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as text:
        return list(read_lines(csv.DictReader(text)))


@cache
def real_outcomes() -> list[Outcome]:
    return [classify(invoice) for invoice in group_invoices(real_lines())]


class TestTheRealFile:
    def test_counts_and_sums(self) -> None:
        kinds = Counter(type(outcome) for outcome in real_outcomes())
        assert kinds == {SaleOrder: 1524, NotASale: 69, CreditNote: 299}
        assert kinds[SaleOrder] + kinds[NotASale] == 1593
        sums: Counter[type[Outcome]] = Counter()
        for outcome in real_outcomes():
            sums[type(outcome)] += outcome.total  # type: ignore[assignment]  # Counter is typed for int, adds anything
        assert sums == {
            SaleOrder: Decimal("755687.43"),
            NotASale: Decimal("0.00"),
            CreditNote: Decimal("-74188.57"),
        }

    def test_every_line_has_one_place(self) -> None:
        assert len(real_lines()) == 39522
        numbers = [number for outcome in real_outcomes() for number in lines_of(outcome)]
        assert sorted(numbers) == list(range(2, 39522 + 2))

    def test_totals_are_those_of_the_items(self) -> None:
        for outcome in real_outcomes():
            if isinstance(outcome, SaleOrder):
                items = outcome.body["items"]
                assert len(items) == len(outcome.lines)
                assert sum(i["quantity"] * Decimal(i["unit_price"]) for i in items) == Decimal(outcome.body["total"])

    def test_first_order(self) -> None:
        first = real_outcomes()[0]
        assert isinstance(first, SaleOrder)
        assert {**first.body, "items": first.body["items"][:1]} == {
            "customer": {"external_id": "17850"},
            "currency": "GBP",
            "placed_at": "2010-12-01T08:26:00Z",
            "status": "paid",
            "number": "536365",
            "items": [
                {
                    "sku": "85123A",
                    "title": "WHITE HANGING HEART T-LIGHT HOLDER",
                    "quantity": 6,
                    "unit_price": "2.55",
                }
            ],
            "total": "139.12",
        }

    def test_the_invoice_with_two_times_was_placed_at_the_first(self) -> None:
        (order,) = [o for o in real_outcomes() if o.invoice == "536591"]
        assert isinstance(order, SaleOrder)
        assert order.body["placed_at"] == "2010-12-01T16:57:00Z"

    def test_products(self) -> None:
        products = collect_products(real_lines())
        assert len(products) == 2774
        assert sum(not product["active"] for product in products.values()) == 23  # never had a price
        assert not {"POST", "DOT", "M", "D", "C2", "S", "AMAZONFEE", "BANK CHARGES", "gift_0001_40"} & set(products)
        assert products["85123A"]["title"] == "WHITE HANGING HEART T-LIGHT HOLDER"


class TestOneInvoice:
    def test_summer_time(self) -> None:
        order = only(row(InvoiceDate="01/07/2011 08:26"))
        assert isinstance(order, SaleOrder)
        assert order.body["placed_at"] == "2011-07-01T07:26:00Z"

    def test_without_a_customer(self) -> None:
        order = only(row(CustomerID=""))
        assert isinstance(order, SaleOrder)
        assert "customer" not in order.body

    def test_without_a_description_the_code_is_the_title(self) -> None:
        order = only(row(Description="  "))
        assert isinstance(order, SaleOrder)
        assert order.body["items"][0]["title"] == "85123A"

    def test_same_code_twice_stays_two_items(self) -> None:
        order = only(row(), row(Quantity="1"))
        assert isinstance(order, SaleOrder)
        assert [item["quantity"] for item in order.body["items"]] == [6, 1]
        assert order.body["total"] == "17.85"

    def test_lines_that_cannot_be_sold_are_left_out(self) -> None:
        order = only(row(), row(Quantity="-1"), row(Quantity="0"), row(Quantity="2", UnitPrice="-1.50"))
        assert isinstance(order, SaleOrder)
        assert (order.lines, order.body["total"]) == ((2,), "15.30")
        assert [(line.line, line.reason, line.amount) for line in order.left_out] == [
            (3, "the quantity is not above zero", Decimal("-2.55")),
            (4, "the quantity is not above zero", Decimal("0.00")),
            (5, "the price is below zero", Decimal("-3.00")),
        ]

    def test_nothing_to_sell(self) -> None:
        outcome = only(row(Quantity="-10", UnitPrice="0"))
        assert isinstance(outcome, NotASale)
        assert outcome.reason == "the quantity is not above zero"

    def test_credit_note(self) -> None:
        outcome = only(row(InvoiceNo="C536365", Quantity="-2"))
        assert isinstance(outcome, CreditNote)
        assert outcome.total == Decimal("-5.10")

    def test_lines_that_do_not_stand_together_are_joined(self) -> None:
        first, second = outcomes(row(), row(InvoiceNo="536366"), row(Quantity="1"))
        assert (first.lines, second.lines) == ((2, 4), (3,))

    def test_minus_nothing_is_nothing(self) -> None:
        order = only(row(UnitPrice="-0.00"))
        assert isinstance(order, SaleOrder)
        assert order.body["items"][0]["unit_price"] == "0.00"

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"Quantity": "1_000"}, "the quantity is no whole number"),
            ({"Quantity": "1.5"}, "the quantity is no whole number"),
            ({"UnitPrice": "NaN"}, "the unit price is no amount with at most two decimals"),
            ({"UnitPrice": "0.001"}, "the unit price is no amount with at most two decimals"),
            ({"InvoiceDate": "12/31/2010 08:26"}, "the date is not like 31/12/2010 23:59"),
            ({"StockCode": ""}, "there is no stock code"),
            ({"Surplus": "x"}, "the line has more or fewer columns than the header"),
        ],
    )
    def test_a_line_that_cannot_be_read_refuses_its_invoice(self, changes: dict[str, str], reason: str) -> None:
        outcome = only(row(), row(**changes))
        assert isinstance(outcome, Unreadable)
        assert (outcome.line, outcome.reason) == (3, reason)

    def test_without_an_invoice_number(self) -> None:
        outcome = only(row(InvoiceNo=" "))
        assert isinstance(outcome, Unreadable)
        assert outcome.reason == "there is no invoice number"

    def test_two_customers(self) -> None:
        outcome = only(row(), row(CustomerID="1"))
        assert isinstance(outcome, Unreadable)
        assert outcome.reason == "the invoice names more than one customer"


class TestProducts:
    @pytest.mark.parametrize("code", ["85123A", "15056bl", "22139", "DCGS0076"])
    def test_article(self, code: str) -> None:
        assert is_product(code)

    @pytest.mark.parametrize("code", ["POST", "M", "gift_0001_40", "2213", "DCGSBOY", "BANK CHARGES"])
    def test_something_else(self, code: str) -> None:
        assert not is_product(code)

    def test_most_frequent_title_and_latest_price(self) -> None:
        lines = read_lines(
            [
                row(Description="HEART"),
                row(Description="HEART", UnitPrice="3.00", InvoiceDate="03/12/2010 10:00"),
                row(Description="HEART, WHITE", UnitPrice="4.00", InvoiceDate="02/12/2010 10:00"),
                row(Description="damages", UnitPrice="0", InvoiceDate="04/12/2010 10:00"),
                row(InvoiceNo="C1", Quantity="-1", UnitPrice="9.00", InvoiceDate="05/12/2010 10:00"),
            ]
        )
        assert collect_products(lines) == {
            "85123A": {"title": "HEART", "price": {"amount": "3.00", "currency": "GBP"}, "active": True}
        }

    def test_never_priced(self) -> None:
        assert collect_products(read_lines([row(Description="?", UnitPrice="0")])) == {
            "85123A": {"title": "85123A", "price": {"amount": "0.00", "currency": "GBP"}, "active": False}
        }


def near_numbers(size: int) -> st.SearchStrategy[str]:
    return st.text("0123456789.-+/: _eN", max_size=size)


def some_rows() -> st.SearchStrategy[list[dict[str, Any]]]:
    cells = st.fixed_dictionaries(
        {
            "InvoiceNo": st.sampled_from(["1", "2", "C3", "C4", ""]),
            "StockCode": st.sampled_from(["85123A", "POST", ""]),
            "Description": st.sampled_from(["", "HEART"]),
            "Quantity": st.one_of(st.integers(-3, 3).map(str), near_numbers(3)),
            "InvoiceDate": st.one_of(st.just("01/12/2010 08:26"), near_numbers(16)),
            "UnitPrice": st.one_of(
                st.integers(-999, 999).map(lambda pence: f"{Decimal(pence) / 100:.2f}"), near_numbers(4)
            ),
            "CustomerID": st.sampled_from(["", "17850"]),
            "Country": st.sampled_from(["France", None]),
        }
    )
    return st.lists(cells, max_size=20)


@given(some_rows())
def test_every_line_of_any_file_has_one_place_and_no_penny_is_lost(rows: list[dict[str, Any]]) -> None:
    found = outcomes(*rows)
    assert sorted(n for outcome in found for n in lines_of(outcome)) == list(range(2, len(rows) + 2))
    booked = sum(o.total + sum(line.amount for line in getattr(o, "left_out", ())) for o in found)
    assert booked == sum(line.amount for line in read_lines(rows) if isinstance(line, Line))
