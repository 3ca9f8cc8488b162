"""Sends a file to a bulk route in requests of some thousand lines, keeps what was refused, and remembers how far it is.

Sending a line twice is harmless, so whatever ends an import (a broken connection, Ctrl-C, kill -9), the next one goes
on behind the last request that was answered in full.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import httpx

from crm.connectors.files.journal import Journal, fingerprint
from crm.connectors.files.kinds import Kind
from crm.connectors.files.reading import BROKEN_GZIP, Changes, Entry, OpenFile, ndjson_entries, opened
from crm.connectors.files.table import csv_entries
from crm.connectors.http_sender import Sender, problem_of
from crm.errors import CrmError, InvalidInput, Unavailable

LINES_IN_REQUEST: Final = 5000
#: Of one request, in bytes, so that lines of up to a megabyte do not fill the memory.
_BYTES_IN_REQUEST: Final = 8 * 1024 * 1024
#: Requests for the same lines before the import gives up; the service itself tries four times each.
_ROUNDS: Final = 5
RESULTS: Final = ("created", "updated", "unchanged", "stale", "refused", "failed")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Job:
    """What is imported and how.

    Attributes:
        file: The file.
        kind: What it holds.
        table: Whether it is CSV.
        to: Where the service is; only to tell one import from another.
        changes: What is done to each line.
        rejects: Where refused lines are kept.
    """

    file: Path
    kind: Kind
    table: bool
    to: str
    changes: Changes
    rejects: Path

    @property
    def journal(self) -> Path:
        """Beside the file."""
        return self.file.with_name(f"{self.file.name}.progress")

    def described(self) -> dict[str, Any]:
        """What must be the same for another run to go on."""
        return {
            "kind": str(self.kind.name),
            "format": "csv" if self.table else "ndjson",
            "address": self.to.rstrip("/"),
            "source": self.changes.source,
            "map": dict(self.changes.renamed),
            "rejects file": str(self.rejects.absolute()),
        }


@dataclass(slots=True)
class ImportReport:
    """The account of an import, earlier runs that it went on from included.

    Attributes:
        kind: What was imported.
        counts: How many lines of each result.
        resumed_at: The line of the file that an earlier run had come to; 0 without one.
        rejects: The file with what was refused, if anything was.
    """

    kind: str
    counts: Counter[str] = field(default_factory=Counter)
    resumed_at: int = 0
    rejects: Path | None = None

    def clean(self) -> bool:
        """Whether everything was taken."""
        return not self.counts["refused"] and not self.counts["failed"]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "kind": self.kind,
            "lines": self.counts.total(),
            **{result: self.counts[result] for result in RESULTS},
            "resumed_at": self.resumed_at,
            "rejects": None if self.rejects is None else str(self.rejects),
        }


@dataclass(frozen=True, slots=True)
class _Portion:
    """The lines of one request, and the bytes of the file that have been read by then."""

    entries: list[Entry]
    position: int


async def run(
    client: httpx.AsyncClient, job: Job, *, resume: bool = False, on_progress: Progress | None = None
) -> ImportReport:
    """Import a file.

    Args:
        client: With the base URL of the service and an ingest key in its `Authorization` header.
        job: What to import.
        resume: Go on where an earlier run of the same job was ended; without one, begin.
        on_progress: Called with bytes of the file done, and of how many.

    Returns:
        The account; refusals are in it and raise nothing.

    Raises:
        OSError: A file cannot be read or written.
        InvalidInput: The file has wrong columns, or is not the one that was begun.
        UnreadableRequest: The file is not UTF-8, no CSV, or its compression is broken.
        Unavailable: The service could not be reached in many tries; `resume` goes on.
        NotSignedIn: The key is not known.
        Forbidden: The key may not write this.
    """
    journal = await asyncio.to_thread(_begin, job, resume)
    report = ImportReport(str(job.kind.name), journal.counts, journal.line)
    sender = Sender(client)
    with ExitStack() as stack:
        file = stack.enter_context(opened(job.file))
        rejects = stack.enter_context(_Rejects(job.rejects, journal.rejects_size))
        portions = _portions(file, job, journal.line)
        size = journal.file["size"]
        reading = asyncio.create_task(asyncio.to_thread(next, portions, None))
        try:
            while (portion := await reading) is not None:
                # The next lines are read while these are under way.
                reading = asyncio.create_task(asyncio.to_thread(next, portions, None))
                for entry, row in await _sent(sender, job.kind, portion.entries):
                    journal.counts[row["result"]] += 1
                    if row["result"] in {"refused", "failed"}:
                        rejects.add(entry, row)
                journal.line, journal.rejects_size = portion.entries[-1].number, rejects.settle()
                await asyncio.to_thread(journal.save, job.journal)
                if on_progress is not None:
                    on_progress(portion.position, size)
        finally:
            await asyncio.gather(reading, return_exceptions=True)  # a thread cannot be stopped
        report.rejects = job.rejects if rejects.size else None
    if report.rejects is None:
        job.rejects.unlink(missing_ok=True)  # of an earlier run: what was refused then has been taken now
    job.journal.unlink(missing_ok=True)
    return report


def _begin(job: Job, resume: bool) -> Journal:
    now = fingerprint(job.file)
    journal = Journal.load(job.journal) if resume else None
    if journal is None:
        return Journal(now, job.described())
    journal.check(now, job.described(), job.journal)
    return journal


def _portions(file: OpenFile, job: Job, done: int) -> Iterator[_Portion]:
    entries = csv_entries(file, job.kind, job.changes) if job.table else ndjson_entries(file, job.changes)
    portion: list[Entry] = []
    size = 0
    broken: Exception | None = None
    try:
        for entry in entries:
            if entry.number <= done:
                continue
            portion.append(entry)
            size += len(entry.data or b"")
            if len(portion) >= LINES_IN_REQUEST or size >= _BYTES_IN_REQUEST:
                yield _Portion(portion, file.position())
                portion, size = [], 0
    except (CrmError, *BROKEN_GZIP) as exc:
        broken = exc  # what could be read is sent first
    if portion:
        yield _Portion(portion, file.position())
    if broken is not None:
        raise broken


async def _sent(sender: Sender, kind: Kind, entries: Sequence[Entry]) -> list[tuple[Entry, Mapping[str, Any]]]:
    """Each line with its result, in order; those that found the database away are sent again."""
    results: dict[int, Mapping[str, Any]] = {}
    for index, entry in enumerate(entries):
        if entry.data is None:
            results[index] = {"result": "refused", "code": "unreadable_row", "detail": entry.problem}
    for attempt in range(1, _ROUNDS + 1):
        open_ = [index for index in range(len(entries)) if index not in results]
        if not open_:
            return [(entry, results[index]) for index, entry in enumerate(entries)]
        if attempt > 1:
            await sender.pause(attempt)
        for row in await _answers(sender, kind, [entries[index] for index in open_]):
            if row.get("code") != "unavailable":
                results[open_[row["line"] - 1]] = row
    if len(results) < len(entries):
        raise Unavailable("The service's database is away; run the command again with --resume to go on.")
    return [(entry, results[index]) for index, entry in enumerate(entries)]


async def _answers(sender: Sender, kind: Kind, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The results of one request; fewer than lines where the answer was cut."""
    content = b"\n".join(entry.data or b"" for entry in entries)
    headers = {"Content-Type": "application/x-ndjson"}
    answer = await sender.send("POST", kind.path, content=content, headers=headers)
    if not answer.is_success:
        problem = problem_of(answer)
        raise InvalidInput(f"The service refused the request ({problem.code}): {problem.detail}")
    rows = []
    # By the newline alone: an id may hold what Python takes for the end of a line in text.
    for line in filter(None, answer.content.split(b"\n")):
        row = json.loads(line)
        if "done" in row:
            break
        rows.append(row)
    return rows


class _Rejects:
    """A file of the lines that were not taken, readable by its owner only: they hold people's data.

    Args:
        path: Where it is; it appears with the first line.
        keep: Bytes of an earlier run that stay; what stands behind is not acknowledged and goes.
    """

    def __init__(self, path: Path, keep: int) -> None:
        self.size = keep
        self._path = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> _Rejects:
        if self.size:
            self._open()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, entry: Entry, row: Mapping[str, Any]) -> None:
        """Keep a line with the reason, so that it can be mended and sent again."""
        reason = {name: row[name] for name in ("code", "detail", "errors") if name in row}
        kept = {"line": entry.number, "result": row["result"], **reason, "original": _original(entry)}
        file = self._file or self._open()
        file.write(json.dumps(kept, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")

    def settle(self) -> int:
        """Bring what was added to the disk; returns the size."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self.size = self._file.tell()
        return self.size

    def _open(self) -> IO[bytes]:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        os.fchmod(descriptor, 0o600)
        self._file = os.fdopen(descriptor, "r+b")
        self._file.truncate(self.size)
        self._file.seek(self.size)
        return self._file


def _original(entry: Entry) -> Any:
    if entry.data is None:
        return entry.original
    try:
        return json.loads(entry.data)
    except (ValueError, RecursionError):
        return entry.data.decode("utf-8", "replace")
