"""Prometheus metrics by route template: a path would be one series for each customer."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Any, Final

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from crm import __version__
from crm.web.access import PUBLIC
from crm.web.siblings import Siblings

_LABELS: Final = ("method", "path", "status_code", "app_name")
_APP: Final = "crm"
_REQUESTS: Final = Counter("crm_requests_total", "Requests that were answered", _LABELS)
_SECONDS: Final = Histogram("crm_request_duration_seconds", "Time from a request to the end of its answer", _LABELS)
_ERRORS: Final = Counter("crm_requests_error_total", "Requests that were answered with 5xx", _LABELS)
_IN_PROGRESS: Final = Gauge("crm_requests_in_progress", "Requests that are being answered", _LABELS)
# When each series began: as many again, and nothing asks for them.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counts and times each request of a route.

    In place of Litestar's own middleware, which looks every series up by its labels five times a request: an eighth of
    the server's time. The names are the same.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        method, template = str(scope.get("method")), scope["path_template"]
        status, seconds = 200, 0.0

        async def send_and_note(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                seconds = time.perf_counter() - started
            await send(message)

        in_progress = _in_progress(method, template)
        in_progress.inc()
        started = time.perf_counter()
        try:
            await self.app(scope, receive, send_and_note)
        finally:
            in_progress.dec()
            requests, duration = _answered(method, template, status)
            requests.inc()
            duration.observe(seconds)
            if status >= 500:
                _ERRORS.labels(method, template, status, _APP).inc()


# As many as there are routes, methods and statuses; whoever asks cannot make more.
@cache
def _in_progress(method: str, template: str) -> Gauge:
    return _IN_PROGRESS.labels(method, template, 200, _APP)


@cache
def _answered(method: str, template: str, status: int) -> tuple[Counter, Histogram]:
    labels = (method, template, status, _APP)
    return _REQUESTS.labels(*labels), _SECONDS.labels(*labels)


class Exposition:
    """What Prometheus reads: the counters of all workers, and how the whole stands.

    Args:
        siblings: The other workers.
        standing: What is the same whichever worker is asked.
    """

    def __init__(self, siblings: Siblings, standing: Callable[[], Awaitable[Sequence[Metric]]]) -> None:
        self._siblings = siblings
        self._standing = standing

    def listening(self) -> AbstractAsyncContextManager[None]:
        """Tell the other workers within the block."""
        return self._siblings.listening(_own)

    async def text(self) -> bytes:
        """Everything, in the text format of Prometheus."""
        others, standing = await asyncio.gather(self._siblings.ask(), self._standing())
        answered = [text for text in others if text is not None]
        workers = GaugeMetricFamily("crm_workers", "Workers of this server that tell what they have counted")
        workers.add_metric([], 1 + len(answered))
        silent = GaugeMetricFamily("crm_workers_silent", "Workers of this server that did not tell in time")
        silent.add_metric([], len(others) - len(answered))
        build = GaugeMetricFamily("crm_build_info", "The version of this server", labels=["version"])
        build.add_metric([__version__], 1)
        whole = generate_latest(_Ready([build, workers, silent, *standing]))
        return merged([whole, _own(), *answered])


def merged(texts: Iterable[bytes]) -> bytes:
    """Several expositions as one: all that is said of a metric stands together, as the format wants it."""
    samples: dict[bytes, list[bytes]] = {}
    for text in texts:
        for block in (b"\n" + text).split(b"\n# HELP ")[1:]:
            said, kind, rest = (*block.split(b"\n", 2), b"")[:3]
            samples.setdefault(said + b"\n" + kind, []).append(rest.rstrip(b"\n"))
    lines = [b"\n".join([b"# HELP " + head, *filter(None, rest)]) for head, rest in samples.items()]
    return b"\n".join(lines) + b"\n"


class _Ready(Collector):
    """What is there already."""

    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        return self._found


def _own() -> bytes:
    """What this worker has counted, with its process id as a label: sums of workers that come and go would jump."""
    return generate_latest(_Ready(_labelled(REGISTRY.collect(), str(os.getpid()))))


def _labelled(metrics: Iterable[Metric], worker: str) -> Iterator[Metric]:
    for metric in metrics:
        labelled = Metric(metric.name, metric.documentation, metric.type)
        labelled.samples = [s._replace(labels={**s.labels, "worker": worker}) for s in metric.samples]
        yield labelled


@get("/metrics", opt=PUBLIC, include_in_schema=False)
async def exposition(request: Request[Any, Any, State]) -> Response[bytes]:
    """What Prometheus reads."""
    found: Exposition = request.app.state.metrics
    return Response(await found.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)
