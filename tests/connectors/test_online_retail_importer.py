"""The importer against a service that behaves as the API is described: busy at times, refusing, idempotent."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from rich.console import Console

import crm
from crm.connectors.http_sender import Sender, for_each, problem_of, segment
from crm.connectors.online_retail import importer
from crm.connectors.online_retail.credit_notes import Reason
from crm.connectors.online_retail.report import ImportReport, Skipped, Unmatched, render
from crm.errors import Forbidden, InvalidInput, NotSignedIn, Unavailable, UnreadableRequest

pytestmark = pytest.mark.fast

REAL = Path(crm.__file__).parent / "sample" / "online_retail_2010-12.csv.gz"

SMALL = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,HEART,6,01/12/2010 08:26,2.55,17850,United Kingdom
536365,POST,POSTAGE,1,01/12/2010 08:26,18.00,17850,United Kingdom
536366,85123A,HEART,-1,01/12/2010 08:28,2.55,17850,United Kingdom
536366,22633,HAND WARMER,2,01/12/2010 08:28,1.85,17850,United Kingdom
536367,22633,,-3,01/12/2010 08:34,0,,United Kingdom
C536379,22633,HAND WARMER,-1,01/12/2010 09:41,1.85,17850,United Kingdom
536/8,22633,HAND WARMER,many,01/12/2010 10:00,1.85,17850,United Kingdom
536/9,22633,HAND WARMER,1,01/12/2010 10:03,1.85,,France
"""


class Service:
    """Keeps bodies by path; `script` answers first, as long as it has something to say for a path.

    The id of an order is its name, `a:b` for /orders/a/b; with `says_ids` off only a GET tells it.
    """

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.says_ids = True
        self.asked: Counter[str] = Counter()
        self.script: dict[str, list[httpx.Response | Exception]] = {}
        self.in_flight = 0
        self.most_in_flight = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        self.asked[path] += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        if self.script.get(path):
            scripted = self.script[path].pop(0)
            if isinstance(scripted, Exception):
                raise scripted
            return scripted
        order_id = path.removeprefix("/api/v1/orders/").replace("/", ":")
        if request.method == "GET":
            return httpx.Response(200 if path in self.kept else 404, json={"id": order_id})
        body = json.loads(request.content)
        if request.method == "POST" and path.endswith("/refunds"):
            path = f"{path}/{body['id']}"
            taken_before = self.kept.get(path)
            assert taken_before in (None, body)
            self.kept[path] = body
            return httpx.Response(200 if taken_before else 201, json={"id": order_id, "refund": body})
        before, self.kept[path] = self.kept.get(path), body
        if before is None:
            said = {"result": "created", "version": 1}
        else:
            said = {"result": "unchanged" if before == body else "updated", "version": 2}
        named = {"id": order_id} if self.says_ids else {}
        return httpx.Response(200 if before else 201, json={**said, **named})

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.MockTransport(self), base_url="http://crm.test", headers={"Authorization": "Bearer key"}
        )


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.csv"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """What the importer was asked to wait, without waiting."""
    asked: list[int | None] = []

    async def pause(self: Sender, attempt: int, retry_after: int | None = None) -> None:
        asked.append(retry_after)

    monkeypatch.setattr(Sender, "pause", pause)
    return asked


async def test_a_small_file(service: Service, small: Path) -> None:
    progress: list[tuple[str, int, int]] = []
    async with service.client() as client:
        report = await importer.run(client, small, on_progress=lambda *step: progress.append(step))
    assert sorted(service.kept) == [
        "/api/v1/orders/online-retail%3A536366/refunds/C536379",
        "/api/v1/orders/online-retail/536%2F9",
        "/api/v1/orders/online-retail/536365",
        "/api/v1/orders/online-retail/536366",
        "/api/v1/products/22633",
        "/api/v1/products/85123A",
    ]
    of_orders = [("orders", 1, 3), ("orders", 2, 3), ("orders", 3, 3)]
    assert progress == [("products", 1, 2), ("products", 2, 2), *of_orders, ("refunds", 1, 1)]
    assert report.accounted()
    assert (report.sent, report.created, report.products.created) == (3, 3, 2)
    assert [(r.subject, r.line, r.code) for r in report.refused] == [("536/8", 8, "unreadable")]
    assert report.not_sale == [Skipped("536367", (6,), "the quantity is not above zero")]
    assert [(line.invoice, line.line) for line in report.left_out] == [("536366", 4)]
    assert (report.credit_notes, report.notes_whole, report.notes_in_part, report.refunds.created) == (1, 1, 0, 1)
    assert report.credit_notes_sum == report.refunded_sum == Decimal("-1.85")
    assert service.kept["/api/v1/orders/online-retail%3A536366/refunds/C536379"] == {
        "id": "C536379",
        "currency": "GBP",
        "at": "2010-12-01T09:41:00Z",
        "reason": "Credit note C536379",
        "lines": [{"sku": "22633", "quantity": 1, "amount": "1.85"}],
    }
    assert report.sales_sum_in_file == Decimal("36.30")  # 15.30 + 18.00 - 2.55 + 3.70 + 1.85
    assert (report.sent_sum, report.left_out_sum) == (Decimal("38.85"), Decimal("-2.55"))


@pytest_asyncio.fixture(scope="module")
async def real() -> ImportReport:
    """The whole real file, sent once; tests/e2e sends it to the real service, twice."""
    service = Service()
    async with service.client() as client:
        report = await importer.run(client, REAL)
    assert 1 < service.most_in_flight <= 16
    return report


async def test_the_real_file(real: ImportReport) -> None:
    assert (real.lines_read, real.invoices_read) == (39522, 1892)
    assert (real.sent, real.created, real.zero_total) == (1524, 1524, 69)
    assert (len(real.not_sale), real.credit_notes, real.refused, real.left_out) == (69, 299, [], [])
    assert real.sales_sum_in_file == real.sent_sum == Decimal("755687.43")
    assert real.credit_notes_sum == Decimal("-74188.57")
    assert real.accounted()


async def test_the_credit_notes_of_the_real_file(real: ImportReport) -> None:
    assert (real.credit_notes, real.notes_whole, real.notes_in_part) == (299, 109, 19)
    assert (real.refunds.sent, real.refunds.created, real.refunds_refused) == (140, 140, [])
    assert (real.refunded_sum, real.unmatched_sum) == (Decimal("-7619.63"), Decimal("-66568.94"))
    assert real.unmatched_by_reason() == {
        Reason.NO_SALE: (361, Decimal("-8843.16")),
        Reason.NO_ARTICLE: (28, Decimal("-57157.51")),
        Reason.NO_CUSTOMER: (21, Decimal("-222.27")),
        Reason.GIVEN_BACK_ALREADY: (4, Decimal("-167.20")),
        Reason.TOO_CHEAP: (3, Decimal("-108.85")),
        Reason.MORE_THAN_SOLD: (2, Decimal("-69.95")),
    }


async def test_a_second_run_changes_nothing(service: Service, small: Path) -> None:
    async with service.client() as client:
        first = await importer.run(client, small)
        second = await importer.run(client, small, concurrency=4)
    assert second.accounted()
    assert (second.sent, second.unchanged, second.created, second.updated) == (first.sent, first.created, 0, 0)
    assert second.products.unchanged == first.products.created > 0
    assert (first.refunds.created, second.refunds.created, second.refunds.unchanged) == (1, 0, 1)
    assert first.refunded_sum == second.refunded_sum


REFUNDS = "/api/v1/orders/online-retail%3A536366/refunds"


async def test_a_refund_waits_for_a_busy_server_and_is_sent_again(
    service: Service, small: Path, waits: list[int | None]
) -> None:
    service.script = {REFUNDS: [httpx.ReadTimeout(""), httpx.Response(503, headers={"Retry-After": "1"})]}
    async with service.client() as client:
        report = await importer.run(client, small)
    assert waits == [None, 1]
    assert (report.refunds.created, report.refunded_sum) == (1, Decimal("-1.85"))


async def test_an_order_whose_answer_lacks_the_id_is_asked_for_it(service: Service, small: Path) -> None:
    service.says_ids = False
    async with service.client() as client:
        report = await importer.run(client, small)
    assert report.refunds.created == 1
    assert f"{REFUNDS}/C536379" in service.kept


@pytest.mark.parametrize("put", [httpx.Response(422, json={"code": "x", "detail": "No."}), httpx.Response(204)])
async def test_a_refund_without_its_sale_is_not_sent(service: Service, small: Path, put: httpx.Response) -> None:
    """The order was refused, or was said to be taken but is not there."""
    service.script = {"/api/v1/orders/online-retail/536366": [put]}
    async with service.client() as client:
        report = await importer.run(client, small)
    assert not any("refunds" in path for path in service.asked)
    left = Unmatched("C536379", 7, "22633", Decimal("-1.85"), Reason.SALE_NOT_THERE)
    assert (report.unmatched, report.refunds_refused, report.refunds.sent) == ([left], [], 0)
    assert report.accounted()


async def test_a_refused_refund_is_reported_and_its_lines_are_unmatched(service: Service, small: Path) -> None:
    problem = {
        "code": "conflict",
        "detail": "More would be given back than was paid.",
        "errors": [{"pointer": "/lines/0/amount", "detail": "More than was paid."}],
    }
    service.script = {REFUNDS: [httpx.Response(409, json=problem)]}
    async with service.client() as client:
        report = await importer.run(client, small)
    (refused,) = report.refunds_refused
    assert (refused.subject, refused.line, refused.code) == ("C536379", 7, "conflict")
    assert [(entry.line, entry.reason) for entry in report.unmatched] == [(7, Reason.REFUSED)]
    assert (report.notes_whole, report.refunded_sum, report.unmatched_sum) == (0, Decimal(0), Decimal("-1.85"))
    assert report.accounted()


SPLIT = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,22633,HAND WARMER,2,01/12/2010 08:00,1.85,17850,United Kingdom
2,22633,HAND WARMER,2,01/12/2010 09:00,1.85,17850,United Kingdom
2,85123A,HEART,5,01/12/2010 09:00,2.55,17850,United Kingdom
C3,22633,HAND WARMER,-3,01/12/2010 10:00,1.85,17850,United Kingdom
C3,85123A,HEART,-1,01/12/2010 10:00,2.55,17850,United Kingdom
C4,85123A,HEART,-1,01/12/2010 11:00,2.55,17850,United Kingdom
C5,D,Discount,-1,01/12/2010 12:00,0.55,17850,United Kingdom
"""


async def test_refunds_of_an_order_go_one_after_the_other(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_text(SPLIT, encoding="utf-8")
    async with service.client() as client:
        report = await importer.run(client, path, concurrency=4)
    refunds = [path for path in service.kept if "refunds" in path]
    assert sorted(refunds) == [
        "/api/v1/orders/online-retail%3A1/refunds/C3",
        "/api/v1/orders/online-retail%3A2/refunds/C3",
        "/api/v1/orders/online-retail%3A2/refunds/C4",
    ]
    assert [path[-2:] for path in refunds if "3A2" in path] == ["C3", "C4"]
    assert (report.notes_whole, report.notes_in_part, report.credit_notes) == (2, 0, 3)
    assert (report.refunded_sum, report.unmatched_sum) == (Decimal("-10.65"), Decimal("-0.55"))
    assert report.accounted()


async def test_a_line_of_which_one_order_gives_back_its_part_and_another_does_not(
    service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "split.csv"
    path.write_text(SPLIT, encoding="utf-8")
    service.script = {"/api/v1/orders/online-retail%3A1/refunds": [httpx.Response(409)]}
    async with service.client() as client:
        report = await importer.run(client, path)
    assert [(entry.line, entry.amount, entry.reason) for entry in report.unmatched] == [
        (5, Decimal("-1.85"), Reason.REFUSED),
        (8, Decimal("-0.55"), Reason.NO_ARTICLE),
    ]
    assert (report.notes_whole, report.notes_in_part) == (1, 1)
    assert report.line_numbers["refunded"] == [6, 7]
    assert report.refunded_sum == Decimal("-8.80")
    assert report.accounted()


async def test_busy_and_broken_then_well(service: Service, small: Path, waits: list[int | None]) -> None:
    service.script = {
        "/api/v1/orders/online-retail/536365": [httpx.Response(503, headers={"Retry-After": "2"})],
        "/api/v1/orders/online-retail/536366": [httpx.ReadTimeout(""), httpx.Response(429)],
    }
    async with service.client() as client:
        report = await importer.run(client, small, concurrency=1)
    assert waits == [2, None, None]
    assert report.sent == 3
    assert report.accounted()


async def test_away_for_good(service: Service, small: Path, waits: list[int | None]) -> None:
    service.script = {"/api/v1/products/22633": [httpx.ConnectError("") for _ in range(100)]}
    async with service.client() as client:
        with pytest.raises(Unavailable, match="ConnectError; tries: 8"):
            await importer.run(client, small)
    assert service.asked["/api/v1/products/22633"] == 8


async def test_a_refusal_names_the_line(service: Service, small: Path) -> None:
    problem = {
        "code": "invalid_input",
        "detail": "A field cannot be accepted.",
        "errors": [{"pointer": "/items/1/unit_price", "detail": "Too dear."}],
    }
    service.script = {
        "/api/v1/orders/online-retail/536365": [httpx.Response(422, json=problem)],
        "/api/v1/orders/online-retail/536366": [httpx.Response(413, text="<html>")],
        "/api/v1/products/85123A": [httpx.Response(409, json={"code": "conflict", "detail": "No."})],
    }
    async with service.client() as client:
        report = await importer.run(client, small)
    unreadable, first, second = report.refused  # by invoice number
    assert unreadable.code == "unreadable"
    assert (first.subject, first.line, first.code) == ("536365", 3, "invalid_input")
    assert first.fields == ("/items/1/unit_price: Too dear.",)
    assert (second.subject, second.line, second.code) == ("536366", None, "http_413")
    assert [(r.subject, r.code) for r in report.products_refused] == [("85123A", "conflict")]
    assert report.refused_sum == Decimal("37.00")
    assert report.accounted()
    console = Console(file=io.StringIO(), width=100)
    render(report, console)
    assert isinstance(console.file, io.StringIO)
    assert "invoice 536365 (line 3): invalid_input" in console.file.getvalue()
    assert "/items/1/unit_price: Too dear." in console.file.getvalue()


async def test_results_are_read_not_guessed(service: Service, small: Path) -> None:
    service.script = {
        "/api/v1/orders/online-retail/536365": [httpx.Response(200, json={"result": "stale"})],
        "/api/v1/orders/online-retail/536366": [httpx.Response(200, json={"result": "updated"})],
        "/api/v1/products/22633": [httpx.Response(204)],
    }
    async with service.client() as client:
        report = await importer.run(client, small)
    assert (report.orders.stale, report.updated, report.created, report.sent) == (1, 1, 1, 3)
    assert report.products.updated == 1


@pytest.mark.parametrize(("status", "error"), [(401, NotSignedIn), (403, Forbidden)])
async def test_a_key_that_is_no_good_stops_at_once(
    service: Service, small: Path, status: int, error: type[Exception]
) -> None:
    service.script = {"/api/v1/products/85123A": [httpx.Response(status, json={"code": "x", "detail": "No."})]}
    async with service.client() as client:
        with pytest.raises(error, match=r"No\."):
            await importer.run(client, small)
    assert not any("orders" in path for path in service.asked)


async def test_cancelled_in_the_middle(service: Service, small: Path) -> None:
    async with service.client() as client:
        others = asyncio.all_tasks()
        reached = asyncio.Event()
        task = asyncio.create_task(importer.run(client, small, concurrency=1, on_progress=lambda *_: reached.set()))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() <= others  # the importer leaves none behind
        report = await importer.run(client, small)
    assert report.accounted()
    assert report.products.unchanged >= 1


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.csv", b"InvoiceNo,StockCode\n1,2\n", InvalidInput),
        ("a.csv", b"", InvalidInput),
        ("a.csv", SMALL.encode().replace(b"HEART", b"C\xc2FE\xff"), UnreadableRequest),
        ("a.csv.gz", SMALL.encode(), UnreadableRequest),
        ("a.csv.gz", gzip.compress(SMALL.encode())[:-20], UnreadableRequest),
        ("missing/a.csv", None, InvalidInput),
    ],
)
async def test_no_such_file(
    service: Service, tmp_path: Path, name: str, content: bytes | None, error: type[Exception]
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    async with service.client() as client:
        with pytest.raises(error):
            await importer.run(client, path)
    assert not service.asked


async def test_byte_order_mark_and_compression(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + SMALL.encode()))
    async with service.client() as client:
        report = await importer.run(client, path)
    assert report.sent == 3


class TestReport:
    def test_a_lost_line_a_double_line_or_a_lost_penny_is_noticed(self) -> None:
        def report(lines: list[int], total: str = "1.00") -> ImportReport:
            made = ImportReport(lines_read=2, credit_notes=1, invoices_read=1, credit_sum_in_file=Decimal("1.00"))
            made.credit_notes_sum, made.refunded_sum = Decimal("1.00"), Decimal(total)
            made.put("refunded", lines)
            return made

        assert report([3, 2]).accounted()
        assert not report([2]).accounted()
        assert not report([2, 2]).accounted()
        assert not report([2, 3], "1.01").accounted()
        made_up_elsewhere = report([2, 3], "1.01")
        made_up_elsewhere.not_sale_sum = Decimal("-0.01")
        assert not made_up_elsewhere.accounted()

    def test_to_dict_has_the_whole_lists_and_render_the_first_few(self, real: ImportReport) -> None:
        said = json.loads(json.dumps(real.to_dict()))
        assert len(said["not_sale"]) == 69
        assert (said["sales_sum_in_file"], said["credit_notes_sum"]) == ("755687.43", "-74188.57")
        assert said["lines"] == {"sent": 38773, "not_sale": 69, "refunded": 261, "unmatched": 419}
        assert len(said["unmatched"]) == 419
        assert said["unmatched"][0] == {
            "invoice": "C536379",
            "line": 143,
            "sku": "D",
            "amount": "-27.50",
            "reason": "the stock code is no article",
        }
        assert said["unmatched_by_reason"]["the credit note names no customer"] == {"lines": 21, "sum": "-222.27"}
        assert said["refunds"] == {"created": 140, "updated": 0, "unchanged": 0, "stale": 0, "sent": 140}
        assert said["orders"]["sent"] == 1524
        assert said["accounted"] is True
        console = Console(file=io.StringIO(), width=100)
        render(real, console)
        assert isinstance(console.file, io.StringIO)
        shown = console.file.getvalue()
        assert "755,687.43" in shown
        assert "and 59 more" in shown
        assert "credit notes: 109 refunded, 19 in part, 171 unmatched" in shown
        assert "and 409 more" in shown
        assert "Every line and every penny" in shown
        assert len(shown.splitlines()) < 60

    def test_render_does_not_hide_a_loss_nor_read_markup(self) -> None:
        report = ImportReport(lines_read=1, invoices_read=1)
        report.not_sale.append(Skipped("[bold]1", (2,), "because"))
        console = Console(file=io.StringIO(), width=100)
        render(report, console)
        assert isinstance(console.file, io.StringIO)
        assert "[bold]1: because" in console.file.getvalue()
        assert "not accounted for" in console.file.getvalue()


class TestSender:
    async def send(
        self, *answers: httpx.Response | Exception, repeatable: bool = True
    ) -> tuple[httpx.Response, list[float]]:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        service = Service()
        service.script = {"/x": list(answers)}
        async with service.client() as client:
            answer = await Sender(client, tries=4, sleep=sleep).send("POST", "/x", body={}, repeatable=repeatable)
        return answer, slept

    async def test_waits_grow(self) -> None:
        answer, slept = await self.send(httpx.Response(502), httpx.Response(504), httpx.ConnectError(""))
        assert answer.status_code == 201
        for waited, least in zip(slept, (0.25, 0.5, 1.0), strict=True):
            assert least <= waited <= least * 1.25

    async def test_retry_after_as_a_date(self) -> None:
        at = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
        _, slept = await self.send(httpx.Response(503, headers={"Retry-After": at}))
        assert 27 <= slept[0] <= 38

    async def test_retry_after_that_cannot_be_read(self) -> None:
        _, slept = await self.send(httpx.Response(503, headers={"Retry-After": "soon"}))
        assert 0.25 <= slept[0] <= 0.32

    async def test_no_server_keeps_us_for_hours(self) -> None:
        _, slept = await self.send(httpx.Response(503, headers={"Retry-After": "86400"}))
        assert slept[0] <= 150

    async def test_not_repeatable(self) -> None:
        with pytest.raises(Unavailable) as caught:
            await self.send(httpx.Response(503, headers={"Retry-After": "3"}), repeatable=False)
        assert caught.value.retry_after == 3

    def test_a_slash_stays_in_its_segment(self) -> None:
        assert segment("a/b c%é") == "a%2Fb%20c%25%C3%A9"

    @pytest.mark.parametrize("body", [b"", b"[1]", b'{"status": 400}'])
    def test_an_answer_that_is_no_problem_document(self, body: bytes) -> None:
        assert problem_of(httpx.Response(400, content=body)).code == "http_400"


class TestForEach:
    async def test_first_failure_ends_the_others(self) -> None:
        ended: list[int] = []

        async def work(n: int) -> None:
            if n == 1:
                raise KeyError(n)
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(n)

        with pytest.raises(KeyError):
            await for_each([0, 1, 2], work, concurrency=2)
        assert ended == [0]

    @pytest.mark.parametrize("concurrency", [0, -1])
    async def test_concurrency_of_nothing(self, concurrency: int) -> None:
        async def work(n: int) -> None:
            raise AssertionError

        make: Callable[[], Coroutine[Any, Any, None]] = lambda: for_each([1], work, concurrency=concurrency)  # noqa: E731
        with pytest.raises(ValueError, match="at least 1"):
            await make()
