"""What an import did, in numbers that prove that no line was lost, and the same for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crm.connectors.online_retail.mapping import ZERO, CreditNote, Line, amount_text

_SHOWN = 10  # entries of a list before "and N more"


@dataclass(slots=True)
class Tally:
    """What the API said to what was sent and taken."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0

    @property
    def sent(self) -> int:
        """How many were taken; refused ones are not among them."""
        return self.created + self.updated + self.unchanged + self.stale


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that could not be read here, or was refused by the API.

    Attributes:
        subject: The invoice's number, or the product's code.
        line: The line of the file that is at fault, when it is known.
        code: The API's code, or `unreadable` when it never got there.
        reason: One sentence, without values.
        fields: What was wrong with which field, as `pointer: detail`.
    """

    subject: str
    line: int | None
    code: str
    reason: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """An invoice that is no sale, and why."""

    invoice: str
    lines: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOutLine:
    """A line that its order did without, and why."""

    invoice: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A line of a credit note that was not given back, or pieces of one that another order's refund left over.

    Attributes:
        invoice: The credit note's number.
        line: The line of the file.
        sku: The stock code.
        amount: In pounds, below zero, as in the file.
        reason: One of `Reason`.
    """

    invoice: str
    line: int
    sku: str
    amount: Decimal
    reason: str


@dataclass(slots=True)
class ImportReport:
    """The account of one import; all sums are in pounds.

    Attributes:
        lines_read: Lines of the file without its header.
        invoices_read: Different invoice numbers.
        orders: The API's answers to the orders.
        products: The API's answers to the products.
        zero_total: How many of the orders come to 0.00 (found stock, gifts).
        refused: Invoices that did not become orders although they should have.
        products_refused: Product codes likewise.
        not_sale: Invoices that are no sale.
        left_out: Lines that their orders did without.
        credit_notes: How many.
        notes_whole: How many of them were given back with all lines.
        notes_in_part: How many with some lines.
        refunds: The API's answers to the refunds, one for each credit note and order that it touches.
        refunds_refused: Refunds that the API refused; their lines are among the unmatched.
        unmatched: Lines of credit notes that were not given back.
        line_numbers: The lines of each bucket: sent, left_out, not_sale, refunded, unmatched, refused.
        sales_sum_in_file: The sum of all lines but those of credit notes, taken before anything was sorted.
        credit_sum_in_file: The sum of the credit notes' lines, likewise.
        sent_sum: The orders that the API took.
        left_out_sum: The lines left out.
        not_sale_sum: The invoices that are no sale.
        credit_notes_sum: The credit notes; below zero, as the next two.
        refunded_sum: The refunds that the API took.
        unmatched_sum: The lines of credit notes that were not given back.
        refused_sum: The refused invoices, without lines left out and without lines that cannot be read.
    """

    lines_read: int = 0
    invoices_read: int = 0
    orders: Tally = field(default_factory=Tally)
    products: Tally = field(default_factory=Tally)
    zero_total: int = 0
    refused: list[Refused] = field(default_factory=list)
    products_refused: list[Refused] = field(default_factory=list)
    not_sale: list[Skipped] = field(default_factory=list)
    left_out: list[LeftOutLine] = field(default_factory=list)
    credit_notes: int = 0
    notes_whole: int = 0
    notes_in_part: int = 0
    refunds: Tally = field(default_factory=Tally)
    refunds_refused: list[Refused] = field(default_factory=list)
    unmatched: list[Unmatched] = field(default_factory=list)
    line_numbers: dict[str, list[int]] = field(default_factory=dict)
    sales_sum_in_file: Decimal = ZERO
    credit_sum_in_file: Decimal = ZERO
    sent_sum: Decimal = ZERO
    left_out_sum: Decimal = ZERO
    not_sale_sum: Decimal = ZERO
    credit_notes_sum: Decimal = ZERO
    refunded_sum: Decimal = ZERO
    unmatched_sum: Decimal = ZERO
    refused_sum: Decimal = ZERO

    @property
    def sent(self) -> int:
        """Orders that the API took."""
        return self.orders.sent

    @property
    def created(self) -> int:
        """Orders that were new."""
        return self.orders.created

    @property
    def updated(self) -> int:
        """Orders that were there with another content."""
        return self.orders.updated

    @property
    def unchanged(self) -> int:
        """Orders that were there with the same content."""
        return self.orders.unchanged

    def put(self, bucket: str, lines: Sequence[int]) -> None:
        """Say in which bucket lines ended."""
        self.line_numbers.setdefault(bucket, []).extend(lines)

    def leave(self, line: Line, amount: Decimal, reason: str) -> None:
        """Book what is not given back of a line of a credit note; `amount` as in the file, below zero."""
        self.unmatched.append(Unmatched(line.invoice, line.number, line.sku, amount, reason))
        self.unmatched_sum += amount

    def close(self, credit_notes: Iterable[CreditNote]) -> None:
        """Say in which bucket each line of the credit notes ended, once all refunds were answered.

        A line of which one order's refund was taken and another's was not is unmatched; the sums are exact all the
        same.
        """
        self.unmatched.sort(key=lambda entry: entry.line)
        left = {entry.line for entry in self.unmatched}
        for note in credit_notes:
            unmatched = [number for number in note.lines if number in left]
            refunded = [number for number in note.lines if number not in left]
            self.notes_whole += not unmatched
            self.notes_in_part += bool(unmatched and refunded)
            self.put("refunded", refunded)
            self.put("unmatched", unmatched)

    def unmatched_by_reason(self) -> dict[str, tuple[int, Decimal]]:
        """How many entries each reason has, and their sum; the most frequent first."""
        counts = Counter(entry.reason for entry in self.unmatched)
        return {
            reason: (count, sum((entry.amount for entry in self.unmatched if entry.reason == reason), ZERO))
            for reason, count in counts.most_common()
        }

    def accounted(self) -> bool:
        """Prove that every line is in exactly one bucket, every invoice too, and that the sums add up to the penny."""
        placed = [number for numbers in self.line_numbers.values() for number in numbers]
        # Lines are numbered without a gap, the header being 1: equal lists mean none twice and none missing.
        lines_add_up = sorted(placed) == list(range(2, self.lines_read + 2))
        invoices = self.sent + len(self.refused) + len(self.not_sale) + self.credit_notes
        given_back = self.refunded_sum + self.unmatched_sum
        buckets = self.sent_sum + self.left_out_sum + self.not_sale_sum + given_back + self.refused_sum
        sums_add_up = (
            self.sales_sum_in_file + self.credit_sum_in_file == buckets and given_back == self.credit_notes_sum
        )
        return lines_add_up and sums_add_up and invoices == self.invoices_read

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-ready: amounts are decimal strings, lists are whole, lines are counted for each bucket."""
        said: dict[str, Any] = asdict(self, dict_factory=_json_ready)
        said["lines"] = {bucket: len(numbers) for bucket, numbers in said.pop("line_numbers").items()}
        said["orders"]["sent"] = self.orders.sent
        said["products"]["sent"] = self.products.sent
        said["refunds"]["sent"] = self.refunds.sent
        said["unmatched_by_reason"] = {
            reason: {"lines": count, "sum": amount_text(total)}
            for reason, (count, total) in self.unmatched_by_reason().items()
        }
        said["accounted"] = self.accounted()
        return said


def _json_ready(members: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: amount_text(value) if isinstance(value, Decimal) else value for name, value in members}


def render(report: ImportReport, console: Console) -> None:
    """Print the account: a table, the first few of each list, and whether all was accounted for."""
    table = Table("", "invoices", "lines", "sum (GBP)", title="Online Retail import", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    whole = report.sales_sum_in_file + report.credit_sum_in_file
    given_back = report.notes_whole + report.notes_in_part
    unmatched = report.credit_notes - given_back
    rows = (
        ("orders sent", report.sent, _count(report, "sent"), report.sent_sum),
        ("refused", len(report.refused), _count(report, "refused"), report.refused_sum),
        ("no sale", len(report.not_sale), _count(report, "not_sale"), report.not_sale_sum),
        ("credit notes, refunded", given_back, _count(report, "refunded"), report.refunded_sum),
        ("credit notes, unmatched", unmatched, _count(report, "unmatched"), report.unmatched_sum),
        ("lines left out of orders", None, _count(report, "left_out"), report.left_out_sum),
        ("in the file", report.invoices_read, report.lines_read, whole),
    )
    for name, invoices, lines, total in rows:
        if name == "in the file":
            table.add_section()
        table.add_row(name, "" if invoices is None else f"{invoices:,}", f"{lines:,}", f"{total:,.2f}")
    console.print(table)
    console.print(f"orders: {_tally(report.orders)}; of total 0.00: {report.zero_total:,}")
    console.print(f"products: {_tally(report.products)}; refused {len(report.products_refused):,}")
    console.print(
        f"credit notes: {report.notes_whole:,} refunded, {report.notes_in_part:,} in part, {unmatched:,} unmatched"
    )
    console.print(
        f"refunds: {report.refunds.sent:,} sent ({report.refunds.created:,} created, "
        f"{report.refunds.unchanged:,} unchanged); refused {len(report.refunds_refused):,}"
    )
    _list(console, "Refused invoices", [_refusal("invoice", entry) for entry in report.refused])
    _list(console, "Refused products", [_refusal("product", entry) for entry in report.products_refused])
    _list(console, "Refused refunds", [_refusal("credit note", entry) for entry in report.refunds_refused])
    _list(console, "Invoices that are no sale", [f"{entry.invoice}: {entry.reason}" for entry in report.not_sale])
    _list(
        console,
        "Lines left out",
        [f"line {entry.line} of {entry.invoice}: {entry.reason}" for entry in report.left_out],
    )
    _list(
        console,
        "Why lines of credit notes are unmatched",
        [f"{reason}: {count:,}, {total:,.2f}" for reason, (count, total) in report.unmatched_by_reason().items()],
    )
    _list(
        console,
        "Unmatched lines of credit notes",
        [f"line {entry.line} of {entry.invoice} ({entry.sku}): {entry.reason}" for entry in report.unmatched],
    )
    if report.accounted():
        console.print("Every line and every penny of the file is accounted for.")
    else:
        console.print("[bold red]Lines or sums of the file are not accounted for.[/]")


def _count(report: ImportReport, bucket: str) -> int:
    return len(report.line_numbers.get(bucket, ()))


def _tally(tally: Tally) -> str:
    return (
        f"{tally.sent:,} sent ({tally.created:,} created, {tally.updated:,} updated, "
        f"{tally.unchanged:,} unchanged, {tally.stale:,} stale)"
    )


def _refusal(kind: str, entry: Refused) -> str:
    line = "" if entry.line is None else f" (line {entry.line})"
    fields = "".join(f"\n    {text}" for text in entry.fields)
    return f"{kind} {entry.subject}{line}: {entry.code}: {entry.reason}{fields}"


def _list(console: Console, title: str, entries: list[str]) -> None:
    if not entries:
        return
    console.print(f"\n[bold]{title}[/]")
    for entry in entries[:_SHOWN]:
        console.print(f"  {escape(entry)}", highlight=False)
    if len(entries) > _SHOWN:
        console.print(f"  and {len(entries) - _SHOWN:,} more")
