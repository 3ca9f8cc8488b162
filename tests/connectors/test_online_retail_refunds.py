"""The real credit notes through the API and the database: what customers spent is their sales less their refunds.

Of the real file, the customers with a credit note, in full: nobody else has anything to match. What must come out is
worked out here from the CSV alone, piece by piece, without the importer's code; `tests/e2e/test_import.py` sends the
whole file.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

import crm
from crm.connectors.online_retail import importer
from tests.fixtures.store import Store, totals_settled

pytestmark = pytest.mark.mongo

FILE = Path(crm.__file__).parent / "sample" / "online_retail_2010-12.csv.gz"
Row = dict[str, str]


def price(row: Row) -> Decimal:
    return Decimal(row["UnitPrice"])


def at(row: Row) -> datetime:
    return datetime.strptime(row["InvoiceDate"], "%d/%m/%Y %H:%M")  # noqa: DTZ007  London time on both sides


def real_slice() -> list[Row]:
    """All lines of the customers who have a credit note, and the credit notes of nobody."""
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    with_note = {row["CustomerID"] for row in rows if row["InvoiceNo"].startswith("C")} - {""}
    return [row for row in rows if row["CustomerID"] in with_note or row["InvoiceNo"].startswith("C")]


@dataclass
class Expected:
    """By invoice and by customer, in pounds."""

    sold: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    back: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    notes: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    customer: dict[str, str] = field(default_factory=dict)
    lines: int = 0

    def status(self, invoice: str) -> str:
        back = self.back.get(invoice)
        return "paid" if back is None else "refunded" if back == self.sold[invoice] else "partially_refunded"

    def of_customers(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Sales and refunds of each customer."""
        sums: dict[str, tuple[Decimal, Decimal]] = {}
        for invoice, customer in self.customer.items():
            sold, back = sums.get(customer, (Decimal(0), Decimal(0)))
            sums[customer] = (sold + self.sold[invoice], back + self.back.get(invoice, Decimal(0)))
        return sums


def expected(rows: list[Row]) -> Expected:
    """Every piece by itself: when it was sold, in which invoice, for how much."""
    out = Expected()
    pieces: defaultdict[tuple[str, str], list[tuple[datetime, str, Decimal]]] = defaultdict(list)
    started = {row["InvoiceNo"]: at(row) for row in reversed(rows)}  # an invoice's first line has its time
    sales = [row for row in rows if not row["InvoiceNo"].startswith("C") and int(row["Quantity"]) > 0]
    for row in sales:
        out.sold[row["InvoiceNo"]] += int(row["Quantity"]) * price(row)
        out.customer[row["InvoiceNo"]] = row["CustomerID"]
        piece = (started[row["InvoiceNo"]], row["InvoiceNo"], price(row))
        pieces[row["CustomerID"], row["StockCode"]] += [piece] * int(row["Quantity"])
    notes = [row for row in rows if row["InvoiceNo"].startswith("C") and row["CustomerID"]]
    for note in sorted(notes, key=at):
        shelf = pieces[note["CustomerID"], note["StockCode"]]
        wanted = -int(note["Quantity"])
        taken = chosen([p for p in shelf if p[0] <= at(note) and p[2] >= price(note)], wanted, price(note))
        out.lines += bool(taken)
        for piece in taken:
            shelf.remove(piece)
            out.back[piece[1]] += price(note)
            out.notes[piece[1]].add(note["InvoiceNo"])
    return out


def chosen(
    fit: list[tuple[datetime, str, Decimal]], wanted: int, wished: Decimal
) -> list[tuple[datetime, str, Decimal]]:
    """The pieces of one invoice that has enough; in this file no line needs two."""
    for free in ([piece for piece in fit if piece[2] == wished], fit):
        enough = [invoice for invoice, count in Counter(piece[1] for piece in free).items() if count >= wanted]
        if enough:
            latest = max(enough, key=lambda invoice: next(piece[0] for piece in free if piece[1] == invoice))
            return sorted((piece for piece in free if piece[1] == latest), key=lambda piece: piece[2])[:wanted]
    assert len(fit) < wanted, "a line of several orders: this test would have to learn that"
    return []


def stored(store: Store) -> dict[str, list[dict[str, Any]]]:
    return {name: list(store.root[name].find().sort("_id", 1)) for name in ("customers", "orders", "order_versions")}


async def test_the_real_credit_notes_are_given_back_once(
    ingest: httpx.AsyncClient, store: Store, tmp_path: Path
) -> None:
    rows = real_slice()
    path = tmp_path / "slice.csv"
    with path.open("w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    wanted = expected(rows)

    first = await importer.run(ingest, path)
    assert first.accounted()
    assert (first.refused, first.refunds_refused, first.credit_notes) == ([], [], 299)
    assert (first.notes_whole, first.notes_in_part, first.refunds.created) == (109, 19, 140)
    assert len(first.line_numbers["refunded"]) == wanted.lines == 261
    assert -first.refunded_sum == sum(wanted.back.values()) == Decimal("7619.63")
    assert first.refunded_sum + first.unmatched_sum == Decimal("-74188.57")

    await totals_settled(store)
    before = stored(store)
    invoice_of = {}
    for order in before["orders"]:
        invoice = order["external_id"]
        invoice_of[order.get("customer_id")] = invoice
        assert order["status"] == wanted.status(invoice)
        assert order.get("source_status", order["status"]) == "paid"
        assert {refund["id"] for refund in order.get("refunds", ())} == wanted.notes[invoice]
        given_back = order["refunded"].to_decimal() if "refunded" in order else None
        assert given_back == wanted.back.get(invoice)
    statuses = Counter(order["status"] for order in before["orders"])
    assert statuses == {"paid": len(wanted.sold) - 131, "partially_refunded": 125, "refunded": 6}

    found = {}
    for customer in before["customers"]:
        (totals,) = customer["stats"]["totals"]
        found[wanted.customer[invoice_of[customer["_id"]]]] = tuple(
            totals[name].to_decimal() for name in ("gross", "refunded", "net")
        )
    assert found == {customer: (sold, back, sold - back) for customer, (sold, back) in wanted.of_customers().items()}

    second = await importer.run(ingest, path, concurrency=5)
    assert second.accounted()
    assert (second.unchanged, second.refunds.unchanged) == (first.created, 140)
    assert (second.created, second.updated, second.refunds.created) == (0, 0, 0)
    assert (second.refunded_sum, second.unmatched) == (first.refunded_sum, first.unmatched)
    await totals_settled(store)
    assert stored(store) == before
