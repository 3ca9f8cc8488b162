"""Sends an "Online Retail" file to the API: products first, then one order for each sale, and accounts for every line.

Running it again is the way to resume: each order is put under its own name (`online-retail` and the invoice number),
and one that is there already is answered with "unchanged".
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from crm.connectors.http_sender import Problem, Progress, Sender, for_each, problem_of, segment
from crm.connectors.online_retail.mapping import (
    COLUMNS,
    ZERO,
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
    read_lines,
)
from crm.connectors.online_retail.report import ImportReport, LeftOutLine, Refused, Skipped, Tally
from crm.errors import InvalidInput, UnreadableRequest

__all__ = ["SOURCE", "ImportReport", "run"]

SOURCE = "online-retail"


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be sent, and the report with everything that is not."""

    products: dict[str, dict[str, Any]]
    orders: list[SaleOrder]
    report: ImportReport


async def run(
    client: httpx.AsyncClient, path: Path, *, concurrency: int = 16, on_progress: Progress | None = None
) -> ImportReport:
    """Import one file.

    Args:
        client: With the base URL of the service and an ingest key in its `Authorization` header.
        path: A `.csv` file, or the same compressed as `.csv.gz`.
        concurrency: Requests in flight.
        on_progress: Called as (``"products"`` or ``"orders"``, done, of how many).

    Returns:
        The account of the import; refusals are in it and raise nothing.

    Raises:
        InvalidInput: The file lacks a column that is needed, or is not there.
        UnreadableRequest: The file is no CSV in UTF-8, or its compression is broken.
        Unavailable: The service could not be reached in many tries; run the import again to go on.
        NotSignedIn: The key is not known.
        Forbidden: The key may not write orders or products.
    """
    # In a thread, since half a second without an await would stall whoever shares the loop.
    work = await asyncio.to_thread(_prepare, path)
    sender = Sender(client)
    report = work.report

    async def send_product(item: tuple[str, dict[str, Any]]) -> None:
        sku, body = item
        answer = await sender.send("PUT", f"/api/v1/products/{segment(sku)}", body=body)
        problem = _count(report.products, answer)
        if problem is not None:
            report.products_refused.append(_refused(sku, problem, None))

    async def send_order(order: SaleOrder) -> None:
        answer = await sender.send("PUT", f"/api/v1/orders/{SOURCE}/{segment(order.invoice)}", body=order.body)
        _settle(report, order, _count(report.orders, answer))

    await for_each(
        work.products.items(), send_product, concurrency=concurrency, stage="products", on_progress=on_progress
    )
    await for_each(work.orders, send_order, concurrency=concurrency, stage="orders", on_progress=on_progress)
    report.refused.sort(key=lambda entry: entry.subject)  # answers come in any order; the account should not
    report.products_refused.sort(key=lambda entry: entry.subject)
    return report


def _prepare(path: Path) -> _Work:
    """Read and sort the whole file; the catalogue needs all of it before the first order may go."""
    lines = _read(path)
    invoices = group_invoices(lines)
    report = ImportReport(lines_read=len(lines), invoices_read=len(invoices))
    for line in lines:
        if isinstance(line, BadLine):
            continue
        if line.invoice.startswith("C"):
            report.credit_sum_in_file += line.amount
        else:
            report.sales_sum_in_file += line.amount
    orders = []
    for outcome in map(classify, invoices):
        if isinstance(outcome, SaleOrder):
            orders.append(outcome)
        else:
            _set_aside(report, outcome)
    return _Work(collect_products(lines), orders, report)


def _read(path: Path) -> list[Line | BadLine]:
    try:
        data = path.read_bytes()
        # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
        rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
        if missing:
            raise InvalidInput(f"The file has no column {', '.join(missing)}.")
        return list(read_lines(rows))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableRequest(f"The file is no CSV in UTF-8: {error}.") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UnreadableRequest(f"The file's compression is broken: {error}.") from error
    except OSError as error:
        raise InvalidInput(f"The file cannot be read: {error.strerror or error}.") from error


def _set_aside(report: ImportReport, outcome: Outcome) -> None:
    match outcome:
        case NotASale():
            report.not_sale.append(Skipped(outcome.invoice, outcome.lines, outcome.reason))
            report.not_sale_sum += outcome.total
            report.put("not_sale", outcome.lines)
        case CreditNote():
            report.credit_notes += 1
            report.credit_notes_sum += outcome.total
            report.put("credit_notes", outcome.lines)
        case Unreadable():
            report.refused.append(Refused(outcome.invoice, outcome.line, "unreadable", outcome.reason))
            report.refused_sum += outcome.total
            report.put("refused", outcome.lines)


def _settle(report: ImportReport, order: SaleOrder, problem: Problem | None) -> None:
    """Book one order and the lines that it did without, once the API has answered."""
    for line in order.left_out:
        report.left_out.append(LeftOutLine(order.invoice, line.line, line.reason))
        report.left_out_sum += line.amount
        report.put("left_out", [line.line])
    if problem is None:
        report.sent_sum += order.total
        report.zero_total += order.total == ZERO
        report.put("sent", order.lines)
        return
    report.refused.append(_refused(order.invoice, problem, _line_at_fault(order, problem)))
    report.refused_sum += order.total
    report.put("refused", order.lines)


def _count(tally: Tally, answer: httpx.Response) -> Problem | None:
    """Count what was taken; return the problem of what was not."""
    if not answer.is_success:
        return problem_of(answer)
    match _result(answer):
        case "created":
            tally.created += 1
        case "unchanged":
            tally.unchanged += 1
        case "stale":
            tally.stale += 1
        case _:
            tally.updated += 1
    return None


def _result(answer: httpx.Response) -> str:
    """The API's own word for it; where it says none, the status tells as much as it can."""
    try:
        said = answer.json()
    except ValueError:
        said = None
    if isinstance(said, dict) and "result" in said:
        return str(said["result"])
    return "created" if answer.status_code == httpx.codes.CREATED else "updated"


def _refused(subject: str, problem: Problem, line: int | None) -> Refused:
    fields = tuple(f"{error.pointer}: {error.detail}" for error in problem.errors)
    return Refused(subject, line, problem.code, problem.detail, fields)


def _line_at_fault(order: SaleOrder, problem: Problem) -> int | None:
    """Translate `/items/3/…` into the line of the file that the item came from."""
    for error in problem.errors:
        item = re.match(r"/items/([0-9]{1,6})(/|$)", error.pointer)
        if item is not None and int(item[1]) < len(order.lines):
            return order.lines[int(item[1])]
    return None
