"""Sends an "Online Retail" file to the API: products, one order for each sale, then the credit notes as refunds.

It accounts for every line. Running it again is the way to resume: each order is put under its own name
(`online-retail` and the invoice number), each refund has the number of its credit note, and what is there already is
answered as such.
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from crm.connectors.http_sender import Problem, Progress, Sender, for_each, problem_of, segment
from crm.connectors.online_retail.credit_notes import Matching, Reason, Refund, find_sales
from crm.connectors.online_retail.mapping import (
    COLUMNS,
    ZERO,
    BadLine,
    CreditNote,
    Line,
    NotASale,
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
    credit_notes: list[CreditNote]
    matching: Matching
    report: ImportReport


async def run(
    client: httpx.AsyncClient, path: Path, *, concurrency: int = 16, on_progress: Progress | None = None
) -> ImportReport:
    """Import one file.

    Args:
        client: With the base URL of the service and an ingest key in its `Authorization` header.
        path: A `.csv` file, or the same compressed as `.csv.gz`.
        concurrency: Requests in flight.
        on_progress: Called as (``"products"``, ``"orders"`` or ``"refunds"``, done, of how many); all refunds of an
            order count as one.

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

    ids: dict[str, str] = {}  # our ids of the orders, by invoice

    async def send_order(order: SaleOrder) -> None:
        answer = await sender.send("PUT", _order_path(order.invoice), body=order.body)
        problem = _count(report.orders, answer)
        _settle(report, order, problem)
        if problem is None:
            ids[order.invoice] = _id_in(answer)

    async def send_refunds(item: tuple[str, list[Refund]]) -> None:
        invoice, refunds = item
        order_id = ids.get(invoice)
        if order_id == "":  # taken, but the answer did not say as what
            order_id = _id_in(await sender.send("GET", _order_path(invoice)))
        # One after the other: they change the same order, and are then stored in the order of their times.
        for refund in refunds:
            if not order_id:
                _leave(report, refund, Reason.SALE_NOT_THERE)
                continue
            # May be repeated: the refund has an id, so it is recorded once.
            answer = await sender.send("POST", f"/api/v1/orders/{segment(order_id)}/refunds", body=refund.body())
            _settle_refund(report, refund, answer)

    await for_each(
        work.products.items(), send_product, concurrency=concurrency, stage="products", on_progress=on_progress
    )
    await for_each(work.orders, send_order, concurrency=concurrency, stage="orders", on_progress=on_progress)
    # After all the orders: a refund needs its sale.
    by_order = _by_order(work.matching.refunds)
    await for_each(by_order, send_refunds, concurrency=concurrency, stage="refunds", on_progress=on_progress)
    report.close(work.credit_notes)
    report.refused.sort(key=lambda entry: entry.subject)  # answers come in any order; the account should not
    report.products_refused.sort(key=lambda entry: entry.subject)
    report.refunds_refused.sort(key=lambda entry: entry.subject)
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
    orders: list[SaleOrder] = []
    credit_notes: list[CreditNote] = []
    for outcome in map(classify, invoices):
        match outcome:
            case SaleOrder():
                orders.append(outcome)
            case CreditNote():
                credit_notes.append(outcome)
                report.credit_notes += 1
                report.credit_notes_sum += outcome.total
            case _:
                _set_aside(report, outcome)
    matching = find_sales(orders, credit_notes)
    for line, reason in matching.unmatched:
        report.leave(line, line.amount, reason)
    return _Work(collect_products(lines), orders, credit_notes, matching, report)


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


def _set_aside(report: ImportReport, outcome: NotASale | Unreadable) -> None:
    match outcome:
        case NotASale():
            report.not_sale.append(Skipped(outcome.invoice, outcome.lines, outcome.reason))
            report.not_sale_sum += outcome.total
            report.put("not_sale", outcome.lines)
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


def _settle_refund(report: ImportReport, refund: Refund, answer: httpx.Response) -> None:
    """Book one refund. What is there already is answered with 200, what is new with 201."""
    if answer.is_success:
        if answer.status_code == httpx.codes.CREATED:
            report.refunds.created += 1
        else:
            report.refunds.unchanged += 1
        report.refunded_sum -= refund.amount
        return
    problem = problem_of(answer)
    at_fault = _index_at_fault("lines", problem, len(refund.parts))
    line = None if at_fault is None else refund.parts[at_fault].line.number
    report.refunds_refused.append(_refused(refund.note, problem, line))
    _leave(report, refund, Reason.REFUSED)


def _leave(report: ImportReport, refund: Refund, reason: Reason) -> None:
    for part in refund.parts:
        report.leave(part.line, -part.amount, reason)


def _by_order(refunds: Iterable[Refund]) -> list[tuple[str, list[Refund]]]:
    grouped: dict[str, list[Refund]] = {}
    for refund in refunds:
        grouped.setdefault(refund.order, []).append(refund)
    return list(grouped.items())


def _order_path(invoice: str) -> str:
    return f"/api/v1/orders/{SOURCE}/{segment(invoice)}"


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
    return _member(answer, "result") or ("created" if answer.status_code == httpx.codes.CREATED else "updated")


def _id_in(answer: httpx.Response) -> str:
    """Our id of an order that was answered; empty where there is none."""
    return _member(answer, "id") if answer.is_success else ""


def _member(answer: httpx.Response, name: str) -> str:
    try:
        said = answer.json()
    except ValueError:
        said = None
    value = said.get(name) if isinstance(said, dict) else None
    return value if isinstance(value, str) else ""


def _refused(subject: str, problem: Problem, line: int | None) -> Refused:
    fields = tuple(f"{error.pointer}: {error.detail}" for error in problem.errors)
    return Refused(subject, line, problem.code, problem.detail, fields)


def _line_at_fault(order: SaleOrder, problem: Problem) -> int | None:
    """Translate `/items/3/…` into the line of the file that the item came from."""
    index = _index_at_fault("items", problem, len(order.lines))
    return None if index is None else order.lines[index]


def _index_at_fault(member: str, problem: Problem, length: int) -> int | None:
    for error in problem.errors:
        found = re.match(rf"/{member}/([0-9]{{1,6}})(/|$)", error.pointer)
        if found is not None and int(found[1]) < length:
            return int(found[1])
    return None
