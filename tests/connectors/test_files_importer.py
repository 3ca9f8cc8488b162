"""The importer against a service that behaves as the bulk routes are described: refusing, cut off, away."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from crm.connectors.files import importer
from crm.connectors.files.importer import ImportReport, Job, run
from crm.connectors.files.journal import Journal, fingerprint
from crm.connectors.files.kinds import KINDS, KindName
from crm.connectors.files.reading import Changes
from crm.connectors.http_sender import Sender
from crm.errors import Forbidden, InvalidInput, Unavailable, UnreadableRequest

pytestmark = pytest.mark.fast

Row = dict[str, Any]


class Service:
    """Keeps lines by their SKU; ``script`` answers first, as long as it has something to say."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.requests: list[list[Any]] = []
        self.script: list[Callable[[list[Row]], httpx.Response]] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v1/products/bulk"
        assert request.headers["content-type"] == "application/x-ndjson"
        lines = request.content.split(b"\n")
        self.requests.append(lines)
        rows = [{"line": number, **self.result(line)} for number, line in enumerate(lines, 1)]
        if self.script:
            return self.script.pop(0)(rows)
        return answer(rows)

    def result(self, line: bytes) -> Row:
        try:
            item = json.loads(line)
        except ValueError:
            return {"result": "refused", "code": "unreadable_request", "status": 400, "detail": "No JSON."}
        if "sku" not in item:
            errors = [{"pointer": "/sku", "detail": "This field is required."}]
            return {"result": "refused", "code": "invalid_input", "status": 422, "detail": "No.", "errors": errors}
        before, self.kept[item["sku"]] = self.kept.get(item["sku"]), item
        result = "created" if before is None else "unchanged" if before == item else "updated"
        return {"sku": item["sku"], "result": result}

    @property
    def sent(self) -> int:
        return sum(map(len, self.requests))

    async def run(self, job: Job, **options: Any) -> ImportReport:
        transport = httpx.MockTransport(self)
        async with httpx.AsyncClient(transport=transport, base_url="http://crm.test") as client:
            return await run(client, job, **options)


def answer(rows: list[Row], *, whole: bool = True) -> httpx.Response:
    said = [*rows, {"done": True, "lines": len(rows)}] if whole else rows
    return httpx.Response(200, content=b"".join(json.dumps(row).encode() + b"\n" for row in said))


def away(rows: list[Row]) -> httpx.Response:
    lost = {"result": "failed", "code": "unavailable", "status": 503, "detail": "Away."}
    return answer([{"line": row["line"], **lost} if row["line"] % 2 else row for row in rows])


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture(autouse=True)
def _small_requests_and_no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pause(self: Sender, attempt: int, retry_after: int | None = None) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(Sender, "pause", pause)
    monkeypatch.setattr(importer, "LINES_IN_REQUEST", 10)


def job(path: Path, *, table: bool = False, **changes: Any) -> Job:
    rejects = path.with_name(f"{path.name}.rejects.ndjson")
    return Job(path, KINDS[KindName.PRODUCTS], table, "http://crm.test", Changes(**changes), rejects)


def product(n: int) -> bytes:
    return json.dumps({"sku": str(n), "title": "Mug"}).encode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "products.ndjson"
    path.write_bytes(b"\n".join(product(n) for n in range(35)))
    return path


def rejected(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def test_all_of_a_file(service: Service, file: Path) -> None:
    progress: list[tuple[int, int]] = []
    report = await service.run(job(file), on_progress=lambda *step: progress.append(step))
    assert (len(service.kept), [len(r) for r in service.requests]) == (35, [10, 10, 10, 5])
    assert report.to_dict() == {
        "kind": "products", "lines": 35, "created": 35, "updated": 0, "unchanged": 0, "stale": 0, "refused": 0,
        "failed": 0, "resumed_at": 0, "rejects": None,
    }  # fmt: skip
    assert report.clean()
    assert progress[-1] == (file.stat().st_size, file.stat().st_size)
    assert [path.name for path in file.parent.iterdir()] == [file.name], "neither journal nor rejects are left"
    again = await service.run(job(file))
    assert (again.counts["unchanged"], again.counts.total()) == (35, 35)


async def test_gzip_whatever_its_name(service: Service, file: Path) -> None:
    file.write_bytes(gzip.compress(file.read_bytes()))
    assert (await service.run(job(file))).counts["created"] == 35


async def test_refused_lines_are_kept_with_their_reason(service: Service, file: Path) -> None:
    bad = b'\n{"title": "n\xc3\xb6 sku"}\n\n{broken\n\xff\n' + b"x" * 1_000_001
    file.write_bytes(file.read_bytes() + bad)
    report = await service.run(job(file))
    assert not report.clean()
    assert (report.counts["created"], report.counts["refused"]) == (35, 4)
    assert report.rejects is not None
    assert report.rejects.stat().st_mode & 0o777 == 0o600
    first, second, third, fourth = rejected(report.rejects)
    assert first == {
        "line": 36, "result": "refused", "code": "invalid_input", "detail": "No.",
        "errors": [{"pointer": "/sku", "detail": "This field is required."}], "original": {"title": "nö sku"},
    }  # fmt: skip
    assert (second["line"], second["original"]) == (38, "{broken")
    assert (third["line"], third["original"]) == (39, "�")
    assert (fourth["line"], fourth["detail"]) == (40, "A line has at most 1,000,000 bytes.")
    file.write_bytes(b"\n".join(product(n) for n in range(35)))
    await service.run(job(file))
    assert not report.rejects.exists(), "an import that refuses nothing leaves no rejects of an earlier one"


async def test_changes(service: Service, file: Path) -> None:
    file.write_bytes(b'{"nr": "1", "title": "a", "x": 1.10}\n[]\n{broken\n')
    report = await service.run(job(file, renamed={"nr": "sku", "x": ""}))
    assert service.kept == {"1": {"sku": "1", "title": "a"}}
    assert report.counts["refused"] == 2


async def test_a_table(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    path.write_text("sku;title\n" + "".join(f"{n};Mug\n" for n in range(25)) + "x;y;z\n;nameless\n")
    report = await service.run(job(path, table=True))
    assert (report.counts["created"], report.counts["refused"]) == (25, 2)
    first, second = rejected(path.with_name("products.csv.rejects.ndjson"))
    assert (first["line"], first["code"], first["original"]) == (
        27, "unreadable_row", [{"sku": "x", "title": "y", "": "z"}],
    )  # fmt: skip
    assert (second["line"], second["original"]) == (28, {"title": "nameless"})


async def test_what_found_the_database_away_is_sent_again_and_only_that(service: Service, file: Path) -> None:
    service.script = [away, away]
    report = await service.run(job(file))
    assert [len(request) for request in service.requests] == [10, 5, 3, 10, 10, 5]
    assert (report.counts["failed"], report.counts.total()) == (0, 35)


async def test_an_answer_that_was_cut_is_asked_for_again(service: Service, file: Path) -> None:
    service.script = [lambda rows: answer(rows[:4], whole=False), lambda _: answer([], whole=False)]
    report = await service.run(job(file))
    assert [len(request) for request in service.requests] == [10, 6, 6, 10, 10, 5]
    assert report.counts.total() == 35


async def test_a_fault_of_the_service_is_kept_with_the_refused(service: Service, file: Path) -> None:
    def fault(rows: list[Row]) -> httpx.Response:
        failed = {"line": 3, "result": "failed", "code": "internal_error", "detail": "A fault."}
        return answer([failed if row["line"] == 3 else row for row in rows])

    service.script = [fault]
    report = await service.run(job(file))
    assert (report.counts["failed"], report.counts.total(), report.clean()) == (1, 35, False)
    assert rejected(job(file).rejects)[0]["code"] == "internal_error"


def busy(rows: list[Row]) -> httpx.Response:
    return httpx.Response(503, headers={"Retry-After": "1"})


def gone(rows: list[Row]) -> httpx.Response:
    raise httpx.ReadError("gone")


async def test_it_goes_on_where_it_was_ended(service: Service, file: Path) -> None:
    body = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([*body[:5], b"{broken", b"", *body[5:]]))  # line 6 is refused, 7 is blank
    service.script = [answer, answer, *[gone] * 99]
    with pytest.raises(Unavailable):
        await service.run(job(file))
    done = Journal.load(job(file).journal)
    assert done is not None
    assert (done.line, done.counts.total()) == (21, 20)
    # What a killed run left behind the acknowledged part of its rejects.
    with job(file).rejects.open("ab") as rejects:
        rejects.write(b'{"line": 99, "cut')
    service.script, service.requests = [busy, gone], []
    report = await service.run(job(file), resume=True)
    assert service.sent == 16 + 10 + 10  # two tries for nothing
    assert (report.resumed_at, report.counts["created"], report.counts["unchanged"]) == (21, 25, 10)
    assert (report.counts["refused"], report.counts.total()) == (1, 36)
    assert [row["line"] for row in rejected(job(file).rejects)] == [6]
    assert not job(file).journal.exists()


async def test_a_table_goes_on_where_it_was_ended(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    path.write_text("sku,title\n" + "".join(f"{n},Mug\n" for n in range(25)))
    service.script = [answer, *[gone] * 99]
    with pytest.raises(Unavailable):
        await service.run(job(path, table=True))
    service.script, service.requests = [], []
    report = await service.run(job(path, table=True), resume=True)
    assert (service.sent, report.counts.total(), report.resumed_at) == (15, 25, 11)


async def test_without_resume_it_begins_again_and_with_it_it_may(service: Service, file: Path) -> None:
    service.script = [answer, *[gone] * 99]
    with pytest.raises(Unavailable):
        await service.run(job(file))
    service.script, service.requests = [], []
    report = await service.run(job(file))
    assert (service.sent, report.counts.total()) == (35, 35)
    fresh = await service.run(job(file), resume=True)
    assert (fresh.resumed_at, fresh.counts.total()) == (0, 35)


async def test_a_changed_file_or_another_job_does_not_go_on(service: Service, file: Path, tmp_path: Path) -> None:
    service.script = [answer, *[gone] * 99]
    with pytest.raises(Unavailable):
        await service.run(job(file))
    requests = len(service.requests)
    with pytest.raises(InvalidInput, match="of an import with another map, source"):
        await service.run(job(file, source="x", renamed={"a": "b"}), resume=True)
    with file.open("ab") as more:
        more.write(b"\n" + product(99))
    with pytest.raises(InvalidInput, match="has changed since"):
        await service.run(job(file), resume=True)
    job(file).journal.write_text("{}")
    with pytest.raises(InvalidInput, match="no journal"):
        await service.run(job(file), resume=True)
    assert len(service.requests) == requests


def test_a_file_of_the_same_size_and_another_content_is_another(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"a" * 100)
    before = fingerprint(path)
    assert fingerprint(path) == before
    path.write_bytes(b"b" * 100)
    after = fingerprint(path)
    assert {**after, "modified_ns": 0} != {**before, "modified_ns": 0}
    path.write_bytes(b"b" * 101)
    assert fingerprint(path)["size"] != after["size"]


def test_a_journal_is_there_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.progress"
    journal = Journal({"size": 1}, {"kind": "orders"}, 7)
    journal.counts["created"] = 7
    journal.save(path)
    assert Journal.load(path) == journal

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        Journal({"size": 2}, {}, 9).save(path)
    assert Journal.load(path) == journal


async def test_what_can_be_read_of_a_broken_file_is_sent(service: Service, file: Path) -> None:
    packed = gzip.compress(b"\n".join(product(n) for n in range(20_000)))
    file.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(UnreadableRequest, match="compression is broken"):
        await service.run(job(file))
    assert len(service.kept) > 1000
    assert job(file).journal.exists()


async def test_a_refusal_of_the_whole_ends_the_import(service: Service, file: Path) -> None:
    problem = {"code": "unsupported_media_type", "detail": "Not this."}
    service.script = [lambda _: httpx.Response(415, json=problem)]
    with pytest.raises(InvalidInput, match=r"unsupported_media_type.*Not this"):
        await service.run(job(file))
    service.script = [lambda _: httpx.Response(403, json={"code": "forbidden", "detail": "Your role may not."})]
    with pytest.raises(Forbidden):
        await service.run(job(file))
    with pytest.raises(FileNotFoundError):
        await service.run(job(file.with_name("nothing")))


async def test_an_id_may_hold_what_ends_a_line_of_text(service: Service, file: Path) -> None:
    names = ["a\u2028b", "c\u0085d", "e\x0bf"]
    file.write_text("".join(json.dumps({"sku": name}) + "\n" for name in names), encoding="utf-8")
    service.script.append(raw)
    report = await service.run(job(file))
    assert report.counts["created"] == 3


def raw(rows: list[Row]) -> httpx.Response:
    """As the service writes them: only what JSON must escape is escaped."""
    said = [*rows, {"done": True, "lines": len(rows)}]
    return httpx.Response(200, content="".join(json.dumps(row, ensure_ascii=False) + "\n" for row in said).encode())
