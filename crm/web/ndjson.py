"""NDJSON in, NDJSON out: one result for each line, in order, while the lines still come in.

Three tasks share a request: one reads and parses, one writes to the database, one sends the results; none waits for
the client to do anything. So memory stays constant, and it makes no difference whether a client reads the results while
it sends, afterwards, or never (ADR 0019).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar, cast

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse, Response
from litestar.types import HTTPReceiveMessage, HTTPRequestEvent, Receive, Scope, Send
from pydantic import BaseModel

from crm.errors import CrmError, InvalidInput, Unavailable, UnsupportedMediaType
from crm.web.bodies import read
from crm.web.ndjson_lines import LONGEST_LINE, Gunzip, Line, LineSplitter
from crm.web.problems import FieldErrorOut, said, settle
from crm.web.schemas import WireOut
from crm.web.spool import Spool

T = TypeVar("T", bound=BaseModel)
MEDIA_TYPE: Final = "application/x-ndjson"
#: All that people call it; ``text/plain`` is what some tools send for want of a better word.
CONTENT_TYPES: Final = (
    MEDIA_TYPE,
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-lines",
    "text/plain",
)
LINES_IN_BATCH: Final = 500
#: While MongoDB writes one, this process prepares the next: 40 % more lines a second than one at a time (two cores).
_BATCHES_AT_WORK: Final = 2
#: Lines of up to a megabyte make smaller batches, so that four of them fit into memory.
_BYTES_IN_BATCH: Final = 2 * 1024 * 1024
#: Seconds that a line waits for others while the database has nothing else to do.
_PATIENCE: Final = 0.05
#: Seconds before each further try when the database is away; with the driver's own it is about half a minute.
_WAITS: Final = (0.5, 1.0, 2.0)
#: Lines that are parsed before other requests get their turn: about 4 ms.
_PARSED_AT_ONCE: Final = 64

Result = Literal["created", "updated", "unchanged", "stale"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a line that was accepted.

    Attributes:
        result: As the route for one answers it.
        names: What the resource is called: ``id``, ``sku``, ``source`` and ``external_id``.
    """

    result: Result
    names: Mapping[str, str]


Answer = Taken | CrmError
Key = Callable[[T], Hashable]
Work = Callable[[Sequence[T]], Awaitable[Sequence[Answer]]]


class BulkLineOut(WireOut):
    """What became of a line, or, at the end, the sum; without ``done`` the stream was cut.

    Attributes:
        line: Its number, from 1; blank lines count.
        result: ``failed``: whether it was stored is unknown, send it again. ``refused``: mend it first.
        done: On the last line only: true when all was read.
    """

    line: int | None = None
    id: str | None = None
    source: str | None = None
    external_id: str | None = None
    sku: str | None = None
    result: Literal["created", "updated", "unchanged", "stale", "refused", "failed"] | None = None
    code: str | None = None
    status: int | None = None
    detail: str | None = None
    errors: list[FieldErrorOut] | None = None
    done: bool | None = None
    lines: int | None = None
    created: int | None = None
    updated: int | None = None
    unchanged: int | None = None
    stale: int | None = None
    refused: int | None = None
    failed: int | None = None


def takes(line: type[BaseModel]) -> dict[str, Any]:
    """A part of a route's ``opt``: the content types it reads, and the model of a line, for the API's description."""
    return {"content_types": CONTENT_TYPES, "ndjson": line}


class Exchange(Response[None], Generic[T]):
    """The answer of a route: 200, and then a result for each line of the request's body.

    Args:
        request: Whose body has not been read yet.
        line: The model of a line.
        key: What a line concerns: lines of the same key are never at work at the same time, and keep their order.
        work: Stores a batch and says for each line what happened. It may be called again with the same lines.

    Raises:
        UnsupportedMediaType: The body is compressed in another way than gzip.
    """

    def __init__(self, request: Request[Any, Any, Any], line: type[T], key: Key[T], work: Work[T]) -> None:
        super().__init__(None, media_type=MEDIA_TYPE, status_code=200)
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", "gzip", "x-gzip"}:
            raise UnsupportedMediaType("Send the body as it is, or with Content-Encoding: gzip.")
        self.running = Running(line, key, work, Gunzip() if encoding != "identity" else None)

    def to_asgi_response(self, request: Request[Any, Any, Any], **_others: Any) -> ASGIResponse:  # type: ignore[override]  # the rest is about bodies that are there already
        """As Litestar asks for it."""
        del request
        return _Streamed(self.running)


class _Streamed(ASGIResponse):
    """Litestar's own stream would swallow the request's body: it waits for messages to learn of a disconnect."""

    _should_set_content_length = False

    def __init__(self, running: Running[Any]) -> None:
        super().__init__(media_type=MEDIA_TYPE, status_code=200)
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        # Not before the body has begun: a client that asked with "Expect: 100-continue" waits for that answer first.
        first: Any = await receive()
        await self.start_response(send)
        await self._running.run(first, receive, send)


@dataclass(slots=True)
class _Batch(Generic[T]):
    """Lines that are written together.

    Attributes:
        entries: Number and content, or what is wrong with it.
        size: Bytes.
        begun: When the first came, by the loop's clock.
    """

    entries: list[tuple[int, T | CrmError]] = field(default_factory=list)
    size: int = 0
    begun: float = 0.0


class _AtWork:
    """A batch that is being written.

    Attributes:
        keys: What it concerns.
        done: Set when its results are there.
    """

    def __init__(self, keys: set[Hashable]) -> None:
        self.keys = keys
        self.done = asyncio.Event()


class Running(Generic[T]):
    """One request under way.

    Args:
        line: The model of a line.
        key: As in ``Exchange``.
        work: As in ``Exchange``.
        gunzip: Where the body is compressed.
    """

    def __init__(self, line: type[T], key: Key[T], work: Work[T], gunzip: Gunzip | None = None) -> None:
        self._line = line
        self._key = key
        self._work = work
        self._gunzip = gunzip
        self._splitter = LineSplitter()
        self._batch: _Batch[T] = _Batch()
        # Some batches are being written, one waits, one grows.
        self._batches: asyncio.Queue[_Batch[T] | None] = asyncio.Queue(maxsize=1)
        self._spool = Spool()
        self._counts: Counter[str] = Counter()
        self._at_work: list[_AtWork] = []
        self._encoder = msgspec.json.Encoder()
        self._client_gone = False
        self._database_away = False
        self._broken: CrmError | None = None

    async def run(self, first: HTTPReceiveMessage, receive: Receive, send: Send) -> None:
        """Answer; returns when all results are sent or the client has gone."""
        try:
            async with asyncio.TaskGroup() as group:
                sender = group.create_task(self._send(send))
                reader = group.create_task(self._read(first, receive, sender))
                group.create_task(self._write())
                sender.add_done_callback(lambda _: reader.cancel())
        finally:
            self._spool.close()

    async def _read(self, first: HTTPReceiveMessage, receive: Receive, sender: asyncio.Task[None]) -> None:
        """Read to the end, then wait for the client to go: only ``receive`` learns of that."""
        async with aclosing(self._messages(first, receive)) as messages:
            try:
                async for message in messages:
                    await self._take(message["body"])
                if self._gunzip is not None:
                    self._gunzip.finish()
                await self._parse(self._splitter.finish())
            except CrmError as exc:
                self._broken = exc
            await self._hand_over()
            if self._broken is not None:
                # What comes behind the broken place is let go: a client that cannot finish sending never reads why.
                async for _ in messages:
                    pass
        await self._batches.put(None)
        if not self._client_gone:
            await receive()
            self._client_gone = True
        sender.cancel()

    async def _messages(self, message: HTTPReceiveMessage, receive: Receive) -> AsyncGenerator[HTTPRequestEvent, None]:
        """The parts of the body. While the sender pauses, what has come goes to the database."""
        while True:
            if message["type"] == "http.disconnect":
                self._client_gone = True
                return
            yield message
            if not message.get("more_body"):
                return
            coming = asyncio.ensure_future(receive())
            try:
                while not coming.done():
                    await asyncio.wait([coming], timeout=_PATIENCE if self._batch.entries else None)
                    if not coming.done() and self._idle:
                        await self._hand_over()
            finally:
                coming.cancel()
            message = cast("HTTPReceiveMessage", coming.result())

    async def _take(self, chunk: bytes) -> None:
        if self._gunzip is None:
            await self._parse(self._splitter.feed(chunk))
            return
        for piece in self._gunzip.feed(chunk):
            await self._parse(self._splitter.feed(piece))

    async def _parse(self, lines: Iterable[Line]) -> None:
        loop = asyncio.get_running_loop()
        for count, line in enumerate(lines, 1):
            batch = self._batch
            if not batch.entries:
                batch.begun = loop.time()
            batch.entries.append((line.number, self._parsed(line.data)))
            batch.size += len(line.data or b"")
            waited = self._idle and loop.time() - batch.begun > _PATIENCE
            if waited or len(batch.entries) >= LINES_IN_BATCH or batch.size >= _BYTES_IN_BATCH:
                await self._hand_over()
            elif count % _PARSED_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _parsed(self, data: bytes | None) -> T | CrmError:
        if data is None:
            return InvalidInput(f"A line has at most {LONGEST_LINE:,} bytes.")
        try:
            return read(self._line, data, called="line")
        except CrmError as exc:
            return exc

    async def _hand_over(self) -> None:
        batch, self._batch = self._batch, _Batch()
        if batch.entries:
            await self._batches.put(batch)

    @property
    def _idle(self) -> bool:
        """Whether the database has nothing to do, so that waiting for more lines would be a loss."""
        return not self._at_work and self._batches.empty()

    async def _write(self) -> None:
        slots = asyncio.Semaphore(_BATCHES_AT_WORK)
        async with asyncio.TaskGroup() as group:
            while True:
                await slots.acquire()
                batch = await self._batches.get()
                if batch is None or self._client_gone:
                    break
                mine = _AtWork({self._key(c) for _, c in batch.entries if not isinstance(c, CrmError)})
                work = group.create_task(self._settle(batch, mine, tuple(self._at_work)))
                work.add_done_callback(lambda _: slots.release())
                self._at_work.append(mine)
        self._spool.write(self._encoder.encode_lines([self._sum()]))
        self._spool.end()

    async def _settle(self, batch: _Batch[T], mine: _AtWork, earlier: Sequence[_AtWork]) -> None:
        """Write one batch, after those before it that concern the same things; its results come after theirs."""
        for other in earlier:
            if not mine.keys.isdisjoint(other.keys):
                await other.done.wait()
        answers = await self._answers([content for _, content in batch.entries])
        for other in earlier:
            await other.done.wait()
        rows = [_row(number, answer) for (number, _), answer in zip(batch.entries, answers, strict=True)]
        self._counts.update(row["result"] for row in rows)
        self._spool.write(self._encoder.encode_lines(rows))
        self._at_work.remove(mine)
        mine.done.set()

    async def _answers(self, contents: Sequence[T | CrmError]) -> list[Answer]:
        """What becomes of each line; what failed for want of the database is tried a few times."""
        answers: dict[int, Answer] = {i: c for i, c in enumerate(contents) if isinstance(c, CrmError)}
        open_ = {i: c for i, c in enumerate(contents) if not isinstance(c, CrmError)}
        # While the database stays away there is one try for each batch: the client learns it at the driver's pace.
        for wait in (*(() if self._database_away else _WAITS), None):
            if not open_:
                break
            answers |= zip(open_, await self._tried(list(open_.values())), strict=True)
            left = {i: c for i, c in open_.items() if isinstance(answers[i], Unavailable)}
            self._database_away = len(left) == len(open_)
            open_ = left
            if open_ and wait is not None:
                await asyncio.sleep(wait)
        return [answers[i] for i in range(len(contents))]

    async def _tried(self, lines: Sequence[T]) -> Sequence[Answer]:
        try:
            return await self._work(lines)
        except Unavailable as exc:
            return [exc] * len(lines)
        except Exception as exc:  # noqa: BLE001  a fault that one line brings out must not harm the others; it is logged
            if len(lines) > 1:
                return [(await self._tried([line]))[0] for line in lines]
            return [settle(exc)]

    def _sum(self) -> dict[str, Any]:
        results = ("created", "updated", "unchanged", "stale", "refused", "failed")
        counts = {result: self._counts[result] for result in results}
        out = {"done": self._broken is None, "lines": self._counts.total(), **counts}
        return out if self._broken is None else {**out, **_problem(self._broken)}

    async def _send(self, send: Send) -> None:
        while data := await self._spool.read():
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _row(number: int, answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Taken):
        return {"line": number, **answer.names, "result": answer.result}
    result = "failed" if answer.status >= 500 else "refused"
    return {"line": number, "result": result, **_problem(answer)}


def _problem(error: CrmError) -> dict[str, Any]:
    out: dict[str, Any] = {"code": error.code, "status": error.status, "detail": said(error)}
    if error.errors:
        out["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in error.errors]
    return out
