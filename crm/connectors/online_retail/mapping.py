"""From lines of the "Online Retail" file to orders and products as the API takes them; no I/O.

The file is UCI "Online Retail" (Daqing Chen, 2015, doi 10.24432/C5BW33): one line for each article of an invoice,
pounds sterling, London time. What it does not say is not made up: a customer is known by number only, and the column
`Country` is left out, since it names where the customer lives and is not an address that anything could be sent to.

Every line of the file ends in exactly one outcome, and each outcome carries its line numbers and its sum, so that an
importer can prove that nothing was lost.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
CURRENCY = "GBP"
LONDON = ZoneInfo("Europe/London")
ZERO = Decimal("0.00")

# Articles have five digits and perhaps a letter (85123A), or DCGS and digits. What else stands in the column is postage
# (POST, DOT, C2), fees (AMAZONFEE, BANK CHARGES), samples (S), discounts (D), entries made by hand (M) and gift
# vouchers (gift_0001_40): lines of an order, but nothing that belongs in a catalogue.
_PRODUCT_CODE = re.compile(r"[0-9]{5}.*|DCGS[0-9]+", re.ASCII)
_QUANTITY = re.compile(r"-?[0-9]{1,9}", re.ASCII)  # not int(): it also takes "1_000" and other digits
_PRICE = re.compile(r"-?[0-9]{1,10}(\.[0-9]{1,2}0*)?", re.ASCII)  # nor Decimal(): it takes "NaN" and "1E+9"


@dataclass(frozen=True, slots=True)
class Line:
    """One readable line.

    Attributes:
        number: As an editor counts: the header is line 1.
        invoice: The invoice's number; a credit note's begins with C.
        sku: The stock code as it stands; `15056bl` and `15056BL` stay two codes.
        title: The trimmed description, possibly empty.
        quantity: Below zero on credit notes and stock adjustments.
        placed_at: In UTC.
        unit_price: In pounds, two decimals.
        customer: The customer's number, or an empty string.
    """

    number: int
    invoice: str
    sku: str
    title: str
    quantity: int
    placed_at: datetime
    unit_price: Decimal
    customer: str

    @property
    def amount(self) -> Decimal:
        """Quantity times unit price, in pounds."""
        return self.quantity * self.unit_price


@dataclass(frozen=True, slots=True)
class BadLine:
    """One line that cannot be read; its invoice is refused as a whole, since a part of it would be a wrong order."""

    number: int
    invoice: str
    reason: str


@dataclass(frozen=True, slots=True)
class Invoice:
    """All lines of the file with one invoice number, in the order of the file."""

    number: str
    lines: tuple[Line | BadLine, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A line that its order does without."""

    line: int
    reason: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class SaleOrder:
    """An invoice that becomes an order.

    Attributes:
        invoice: Its number, the order's external id.
        body: For `PUT /api/v1/orders/online-retail/{invoice}`.
        placed_at: In UTC.
        sold: The line of each item, in the order of ``body["items"]``.
        total: The sum of the items.
        left_out: The invoice's other lines.
    """

    invoice: str
    body: dict[str, Any]
    placed_at: datetime
    sold: tuple[Line, ...]
    total: Decimal
    left_out: tuple[LeftOut, ...]

    @property
    def lines(self) -> tuple[int, ...]:
        """The number of each item's line."""
        return tuple(line.number for line in self.sold)


@dataclass(frozen=True, slots=True)
class NotASale:
    """An invoice of which no line can be sold: a stock adjustment, a write-off."""

    invoice: str
    lines: tuple[int, ...]
    total: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class CreditNote:
    """An invoice whose number begins with C: money given back."""

    invoice: str
    given_back: tuple[Line, ...]
    total: Decimal

    @property
    def lines(self) -> tuple[int, ...]:
        """The number of each line."""
        return tuple(line.number for line in self.given_back)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An invoice that cannot be taken for what it says; `total` is the sum of its readable lines."""

    invoice: str
    lines: tuple[int, ...]
    total: Decimal
    line: int
    reason: str


Outcome: TypeAlias = SaleOrder | NotASale | CreditNote | Unreadable


def read_lines(rows: Iterable[Mapping[str, str]]) -> Iterator[Line | BadLine]:
    """Read the file's records, such as `csv.DictReader` gives them."""
    for number, row in enumerate(rows, start=2):
        yield _read_line(number, row)


def group_invoices(lines: Iterable[Line | BadLine]) -> list[Invoice]:
    """Put the lines of each invoice together.

    In the file they stand together. Should they not, they are joined all the same: an order is replaced as a whole, and
    a second part of an invoice would wipe out the first.
    """
    grouped: defaultdict[str, list[Line | BadLine]] = defaultdict(list)
    for line in lines:
        grouped[line.invoice].append(line)
    return [Invoice(number, tuple(members)) for number, members in grouped.items()]


def classify(invoice: Invoice) -> Outcome:
    """Decide what an invoice is, and map it when it is a sale."""
    number, lines = invoice.number, [line for line in invoice.lines if isinstance(line, Line)]
    numbers = tuple(line.number for line in invoice.lines)
    total = sum((line.amount for line in lines), ZERO)
    bad = next((line for line in invoice.lines if isinstance(line, BadLine)), None)
    if bad is not None:
        return Unreadable(number, numbers, total, bad.number, bad.reason)
    if number.startswith("C"):
        return CreditNote(number, tuple(lines), total)
    if len({line.customer for line in lines}) > 1:
        return Unreadable(number, numbers, total, lines[0].number, "the invoice names more than one customer")
    left_out = tuple(
        LeftOut(line.number, reason, line.amount) for line in lines if (reason := _reason_to_leave_out(line))
    )
    sold = tuple(line for line in lines if not _reason_to_leave_out(line))
    if not sold:
        return NotASale(number, numbers, total, ", ".join(dict.fromkeys(line.reason for line in left_out)))
    # One invoice of the real file runs over a full minute and has two times: it was placed at the first.
    placed_at = min(line.placed_at for line in lines)
    sold_total = sum((line.amount for line in sold), ZERO)
    body = _order_body(number, placed_at, sold, sold_total)
    return SaleOrder(number, body, placed_at, sold, sold_total, left_out)


def is_product(sku: str) -> bool:
    """Tell whether a stock code names an article: five digits first, or DCGS and digits."""
    return _PRODUCT_CODE.fullmatch(sku) is not None


def collect_products(lines: Iterable[Line | BadLine]) -> dict[str, dict[str, Any]]:
    """Make the catalogue: for each product code, the body for `PUT /api/v1/products/{sku}`.

    The title is the most frequent description, the price the latest. Only lines with a price above zero are asked: the
    others are stock adjustments, whose descriptions are remarks ("damages", "?"). A sale is asked before a credit note,
    which repeats the price of an earlier day. A code that was never priced goes in as inactive, at 0.00.
    """
    titles: defaultdict[str, Counter[str]] = defaultdict(Counter)
    prices: dict[str, tuple[tuple[bool, datetime, int], Decimal]] = {}
    for line in lines:
        if isinstance(line, BadLine) or not is_product(line.sku):
            continue
        known = titles[line.sku]  # also for a code that has no priced line
        if line.unit_price <= 0:
            continue
        if line.title:
            known[line.title] += 1
        rank = (not line.invoice.startswith("C"), line.placed_at, line.number)
        if line.sku not in prices or prices[line.sku][0] < rank:
            prices[line.sku] = (rank, line.unit_price)
    return {
        sku: {
            "title": known.most_common(1)[0][0] if known else sku,
            "price": {"amount": amount_text(prices[sku][1] if sku in prices else ZERO), "currency": CURRENCY},
            "active": sku in prices,
        }
        for sku, known in titles.items()
    }


def amount_text(amount: Decimal) -> str:
    """Write pounds as the API takes them: two digits, no exponent."""
    return f"{amount:.2f}"


def time_text(moment: datetime) -> str:
    """Write a time in UTC as the API takes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_line(number: int, row: Mapping[str, str]) -> Line | BadLine:
    """A short record has None in its last columns, a long one has a column None; neither is readable."""
    cells = {column: (row.get(column) or "").strip() for column in COLUMNS}
    invoice = cells["InvoiceNo"]
    when = _read_time(cells["InvoiceDate"])
    faults = {
        "the line has more or fewer columns than the header": len(row) != len(COLUMNS) or None in row.values(),
        "there is no invoice number": not invoice,
        "there is no stock code": not cells["StockCode"],
        "the quantity is no whole number": not _QUANTITY.fullmatch(cells["Quantity"]),
        "the unit price is no amount with at most two decimals": not _PRICE.fullmatch(cells["UnitPrice"]),
        "the date is not like 31/12/2010 23:59": when is None,
    }
    fault = next((reason for reason, is_so in faults.items() if is_so), None)
    if fault is not None or when is None:
        return BadLine(number, invoice, fault or "")
    return Line(
        number=number,
        invoice=invoice,
        sku=cells["StockCode"],
        title=cells["Description"],
        quantity=int(cells["Quantity"]),
        placed_at=when,
        unit_price=Decimal(cells["UnitPrice"]).quantize(ZERO) + ZERO,  # the sum turns -0.00 into 0.00
        customer=cells["CustomerID"],
    )


@lru_cache(maxsize=4096)  # the lines of an invoice repeat their time, and strptime is the slowest step of a line
def _read_time(text: str) -> datetime | None:
    """London wall time to UTC. In the hour that autumn has twice, the first is meant: the file does not say."""
    try:
        return datetime.strptime(text, "%d/%m/%Y %H:%M").replace(tzinfo=LONDON).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _reason_to_leave_out(line: Line) -> str:
    if line.quantity <= 0:
        return "the quantity is not above zero"
    return "the price is below zero" if line.unit_price < 0 else ""


def _order_body(invoice: str, placed_at: datetime, sold: tuple[Line, ...], total: Decimal) -> dict[str, Any]:
    """The file has no e-mail and no name, so the customer is its number, or nobody."""
    customer = {"customer": {"external_id": sold[0].customer}} if sold[0].customer else {}
    return {
        **customer,
        "currency": CURRENCY,
        "placed_at": time_text(placed_at),
        "status": "paid",
        "number": invoice,
        "items": [
            {
                "sku": line.sku,
                "title": line.title or line.sku,
                "quantity": line.quantity,
                "unit_price": amount_text(line.unit_price),
            }
            for line in sold
        ],
        "total": amount_text(total),
    }
