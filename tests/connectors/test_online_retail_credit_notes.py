"""Each line of a credit note finds its sale by the rule of `credit_notes`, or is left with the right reason."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crm
from crm.connectors.online_retail.credit_notes import Matching, Reason, Refund, find_sales
from crm.connectors.online_retail.mapping import (
    COLUMNS,
    CreditNote,
    Outcome,
    SaleOrder,
    classify,
    group_invoices,
    read_lines,
)

pytestmark = pytest.mark.fast

FILE = Path(crm.__file__).parent / "sample" / "online_retail_2010-12.csv.gz"
NO_ARTICLES = ["M", "D", "POST", "BANK CHARGES", "AMAZONFEE", "S"]


def row(
    invoice: str,
    quantity: int,
    *,
    at: str = "10:00",
    price: str = "2.00",
    sku: str = "22633",
    customer: str = "17850",
) -> dict[str, str]:
    cells = (invoice, sku, "HAND WARMER", str(quantity), f"01/12/2010 {at}", price, customer, "United Kingdom")
    return dict(zip(COLUMNS, cells, strict=True))


def sort_out(outcomes: list[Outcome]) -> Matching:
    sales = [outcome for outcome in outcomes if isinstance(outcome, SaleOrder)]
    notes = [outcome for outcome in outcomes if isinstance(outcome, CreditNote)]
    return find_sales(sales, notes)


def matching(*rows: dict[str, str]) -> Matching:
    return sort_out([classify(invoice) for invoice in group_invoices(read_lines(rows))])


def given_back(found: Matching) -> list[tuple[str, str, int, str]]:
    """(note, order, pieces, amount) of each part."""
    return [
        (refund.note, refund.order, part.quantity, str(part.amount))
        for refund in found.refunds
        for part in refund.parts
    ]


def reasons(found: Matching) -> list[tuple[int, Reason]]:
    return [(line.number, reason) for line, reason in found.unmatched]


class TestWhichSale:
    def test_the_sale_of_that_customer_and_code(self) -> None:
        found = matching(
            row("1", 5, customer="2"),
            row("2", 5, sku="22632"),
            row("3", 5),
            row("4", 5, customer=""),
            row("C9", -2, at="11:00"),
        )
        assert (given_back(found), found.unmatched) == ([("C9", "3", 2, "4.00")], [])

    def test_what_is_sent(self) -> None:
        found = matching(
            row("1", 5),
            row("1", 1, sku="85123A", price="2.55"),
            row("C9", -5, at="11:00"),
            row("C9", -1, at="11:00", price="2.55", sku="85123A"),
        )
        (refund,) = found.refunds
        assert refund.body() == {
            "id": "C9",
            "currency": "GBP",
            "at": "2010-12-01T11:00:00Z",
            "reason": "Credit note C9",
            "lines": [
                {"sku": "22633", "quantity": 5, "amount": "10.00"},
                {"sku": "85123A", "quantity": 1, "amount": "2.55"},
            ],
        }

    def test_the_latest_earlier_order(self) -> None:
        found = matching(
            row("1", 5, at="08:00"), row("2", 5, at="09:00"), row("3", 5, at="12:00"), row("C9", -2, at="11:00")
        )
        assert given_back(found) == [("C9", "2", 2, "4.00")]

    def test_an_order_of_the_same_minute_is_early_enough(self) -> None:
        assert given_back(matching(row("1", 5, at="11:00"), row("C9", -2, at="11:00"))) == [("C9", "1", 2, "4.00")]

    def test_where_it_stands_in_the_file_does_not_matter(self) -> None:
        assert given_back(matching(row("C9", -2, at="11:00"), row("1", 5))) == [("C9", "1", 2, "4.00")]

    def test_one_that_has_enough_before_a_later_one_that_has_not(self) -> None:
        found = matching(row("1", 5, at="08:00"), row("2", 2, at="09:00"), row("C9", -3, at="11:00"))
        assert given_back(found) == [("C9", "1", 3, "6.00")]

    def test_one_of_that_very_price_before_a_later_dearer_one(self) -> None:
        found = matching(row("1", 5, at="08:00"), row("2", 5, at="09:00", price="2.50"), row("C9", -3, at="11:00"))
        assert given_back(found) == [("C9", "1", 3, "6.00")]

    def test_a_dearer_one_where_there_is_none_of_that_price(self) -> None:
        found = matching(row("1", 5, price="2.50"), row("C9", -3, at="11:00"))
        assert given_back(found) == [("C9", "1", 3, "6.00")]

    def test_several_where_none_has_enough(self) -> None:
        found = matching(
            row("1", 2, at="07:00"), row("2", 2, at="08:00"), row("3", 2, at="09:00"), row("C9", -5, at="11:00")
        )
        assert given_back(found) == [("C9", "3", 2, "4.00"), ("C9", "2", 2, "4.00"), ("C9", "1", 1, "2.00")]

    def test_lines_of_one_order_count_together(self) -> None:
        found = matching(row("1", 2), row("1", 2), row("C9", -3, at="11:00"))
        assert given_back(found) == [("C9", "1", 3, "6.00")]

    def test_the_cheaper_pieces_of_an_order_are_used_first(self) -> None:
        """Else the dearer note that follows would find only cheaper pieces."""
        found = matching(
            row("1", 1, price="3.00"),
            row("1", 1, price="2.50"),
            row("C8", -1, at="11:00", price="2.20"),
            row("C9", -1, at="12:00", price="2.80"),
        )
        assert (given_back(found), found.unmatched) == ([("C8", "1", 1, "2.20"), ("C9", "1", 1, "2.80")], [])

    def test_a_note_that_touches_two_orders_is_a_refund_of_each(self) -> None:
        found = matching(row("1", 1), row("2", 1, sku="85123A"), row("C9", -1), row("C9", -1, sku="85123A"))
        assert [(refund.note, refund.order) for refund in found.refunds] == [("C9", "1"), ("C9", "2")]

    @pytest.mark.parametrize("sku", NO_ARTICLES)
    def test_a_code_that_is_no_article_is_looked_for_like_any_other(self, sku: str) -> None:
        found = matching(
            row("1", 5, at="08:00", sku=sku),
            row("2", 5, at="09:00", sku=sku, price="2.50"),
            row("C9", -2, at="11:00", sku=sku),
        )
        assert (given_back(found), found.unmatched) == ([("C9", "1", 2, "4.00")], [])


class TestWhyNot:
    @pytest.mark.parametrize("sku", NO_ARTICLES)
    def test_no_article(self, sku: str) -> None:
        """Neither a later sale counts nor one to another customer, or to nobody."""
        found = matching(
            row("1", 5, at="11:01", sku=sku),
            row("2", 5, sku=sku, customer="2"),
            row("3", 5, sku=sku, customer=""),
            row("C8", -1, at="11:00", sku=sku),
            row("C9", -1, at="11:00", sku=sku, customer=""),
        )
        assert (found.refunds, reasons(found)) == ([], [(5, Reason.NO_ARTICLE), (6, Reason.NO_ARTICLE)])

    @pytest.mark.parametrize(
        ("quantity", "price", "reason"), [(-6, "2.00", Reason.MORE_THAN_SOLD), (-1, "2.01", Reason.TOO_CHEAP)]
    )
    def test_no_article_but_an_earlier_sale_that_does_not_do(self, quantity: int, price: str, reason: Reason) -> None:
        found = matching(row("1", 5, sku="POST"), row("C9", quantity, at="11:00", sku="POST", price=price))
        assert (found.refunds, reasons(found)) == ([], [(3, reason)])

    def test_no_customer(self) -> None:
        found = matching(row("1", 5, customer=""), row("C9", -1, at="11:00", customer=""))
        assert reasons(found) == [(3, Reason.NO_CUSTOMER)]

    def test_only_a_later_sale(self) -> None:
        assert reasons(matching(row("1", 5, at="11:01"), row("C9", -1, at="11:00"))) == [(3, Reason.NO_SALE)]

    def test_more_than_were_sold_is_not_given_back_in_part(self) -> None:
        found = matching(row("1", 5), row("C9", -6, at="11:00"))
        assert (found.refunds, reasons(found)) == ([], [(3, Reason.MORE_THAN_SOLD)])

    def test_given_back_already(self) -> None:
        found = matching(row("1", 5), row("C8", -3, at="11:00"), row("C9", -3, at="12:00"))
        assert given_back(found) == [("C8", "1", 3, "6.00")]
        assert reasons(found) == [(4, Reason.GIVEN_BACK_ALREADY)]

    def test_the_earlier_note_has_the_pieces_though_it_stands_later_in_the_file(self) -> None:
        found = matching(row("1", 5), row("C9", -3, at="12:00"), row("C8", -3, at="11:00"))
        assert [refund.note for refund in found.refunds] == ["C8"]

    def test_sold_for_less(self) -> None:
        found = matching(row("1", 5, price="1.99"), row("C9", -1, at="11:00"))
        assert reasons(found) == [(3, Reason.TOO_CHEAP)]

    def test_some_sold_for_less(self) -> None:
        found = matching(row("1", 1), row("1", 1, price="1.99"), row("C9", -2, at="11:00"))
        assert (found.refunds, reasons(found)) == ([], [(4, Reason.TOO_CHEAP)])

    @pytest.mark.parametrize(("quantity", "price"), [(1, "2.00"), (0, "2.00"), (-1, "0.00"), (-1, "-2.00")])
    def test_nothing_is_given_back(self, quantity: int, price: str) -> None:
        found = matching(row("1", 5), row("C9", quantity, at="11:00", price=price))
        assert reasons(found) == [(3, Reason.NOTHING_BACK)]

    def test_one_line_of_two(self) -> None:
        found = matching(row("1", 5), row("C9", -1, at="11:00"), row("C9", -1, at="11:00", sku="M"))
        assert (given_back(found), reasons(found)) == ([("C9", "1", 1, "2.00")], [(4, Reason.NO_ARTICLE)])


@cache
def real_outcomes() -> tuple[Outcome, ...]:
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as text:
        return tuple(classify(invoice) for invoice in group_invoices(read_lines(csv.DictReader(text))))


def test_the_real_file() -> None:
    found = sort_out(list(real_outcomes()))
    matched = {part.line.number: part.line for refund in found.refunds for part in refund.parts}
    left = {line.number: line for line, _ in found.unmatched}
    assert (len(matched), len(left), len(matched.keys() & left.keys())) == (261, 419, 0)
    refunded = sum(refund.amount for refund in found.refunds)
    assert refunded == Decimal("7619.63") == -sum(line.amount for line in matched.values())
    assert sum(line.amount for line in left.values()) == Decimal("-66568.94")
    notes, rest = {line.invoice for line in matched.values()}, {line.invoice for line in left.values()}
    assert (len(notes - rest), len(notes & rest), len(rest - notes)) == (109, 19, 171)
    assert (len(found.refunds), len({refund.order for refund in found.refunds})) == (140, 131)
    totals = {outcome.invoice: outcome.total for outcome in real_outcomes() if isinstance(outcome, SaleOrder)}
    back = sums_by_order(found.refunds)
    assert sum(back[order] == totals[order] for order in back) == 6  # given back whole


def sums_by_order(refunds: list[Refund]) -> dict[str, Decimal]:
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for refund in refunds:
        sums[refund.order] += refund.amount
    return sums


def some_rows() -> st.SearchStrategy[list[dict[str, str]]]:
    prices = st.sampled_from(["1.00", "1.50", "2.00"])
    times = st.integers(10, 59).map(lambda minute: f"10:{minute}")
    skus, customers = st.sampled_from(["22633", "POST"]), st.sampled_from(["1", "2"])

    def rows(invoices: list[str], quantities: st.SearchStrategy[int]) -> st.SearchStrategy[dict[str, str]]:
        # The customer follows from the number: an invoice names one.
        made = st.builds(row, st.sampled_from(invoices), quantities, at=times, price=prices, sku=skus)
        return st.builds(lambda one, who: {**one, "CustomerID": who}, made, customers)

    notes = rows([f"C{n}" for n in range(6)], st.integers(-6, -1))
    sales = st.integers(0, 7).flatmap(
        lambda n: rows([str(n)], st.integers(1, 6)).map(lambda one: {**one, "CustomerID": str(n % 2 + 1)})
    )
    return st.tuples(st.lists(sales, max_size=12), st.lists(notes, max_size=12)).map(lambda both: both[0] + both[1])


@given(some_rows())
def test_of_any_file_no_piece_is_given_back_twice_and_none_for_more_than_it_cost(rows: list[dict[str, str]]) -> None:
    outcomes = [classify(invoice) for invoice in group_invoices(read_lines(rows))]
    found = sort_out(outcomes)
    notes = [outcome for outcome in outcomes if isinstance(outcome, CreditNote)]
    credit = {line.number: line for note in notes for line in note.given_back}
    pieces: defaultdict[int, int] = defaultdict(int)
    sales = {outcome.invoice: outcome for outcome in outcomes if isinstance(outcome, SaleOrder)}
    taken: defaultdict[tuple[str, str], list[tuple[Decimal, int]]] = defaultdict(list)
    for refund in found.refunds:
        for part in refund.parts:
            pieces[part.line.number] += part.quantity
            taken[refund.order, part.line.sku].append((part.line.unit_price, part.quantity))
            assert sales[refund.order].placed_at <= part.line.placed_at
            assert sales[refund.order].sold[0].customer == part.line.customer
    left = {line.number for line, _ in found.unmatched}
    assert pieces == {number: -line.quantity for number, line in credit.items() if number not in left}
    assert left <= credit.keys()
    for (order, sku), back in taken.items():
        sold = [(line.unit_price, line.quantity) for line in sales[order].sold if line.sku == sku]
        for price, _ in back:  # of what cost at least so much, at most so much comes back
            assert dear(back, price) <= dear(sold, price)


def dear(pieces: list[tuple[Decimal, int]], price: Decimal) -> int:
    return sum(quantity for each, quantity in pieces if each >= price)


@given(some_rows(), st.integers(10, 59))
def test_a_file_that_ends_earlier_has_the_same_refunds_up_to_there(rows: list[dict[str, str]], minute: int) -> None:
    def single(row_: dict[str, str], n: int) -> dict[str, str]:
        """Each row an invoice of its own, so that none spans the cut."""
        return {**row_, "InvoiceNo": f"{row_['InvoiceNo'][:1]}{n}"}

    whole = [single(one, n) for n, one in enumerate(rows)]
    cut = [one for one in whole if one["InvoiceDate"] <= f"01/12/2010 10:{minute}"]
    kept = {one["InvoiceNo"] for one in cut}
    assert given_back(matching(*cut)) == [entry for entry in given_back(matching(*whole)) if entry[0] in kept]
