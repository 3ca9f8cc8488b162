"""Prometheus metrics by route template: a path would be one series for each customer."""

from __future__ import annotations

import time
from functools import cache
from typing import Final

from litestar.enums import ScopeType
from litestar.plugins.prometheus import PrometheusController
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import Counter, Gauge, Histogram

from crm.web.access import PUBLIC

_LABELS: Final = ("method", "path", "status_code", "app_name")
_APP: Final = "crm"
_REQUESTS: Final = Counter("crm_requests_total", "Total requests", _LABELS)
_SECONDS: Final = Histogram("crm_request_duration_seconds", "Request duration, in seconds", _LABELS)
_ERRORS: Final = Counter("crm_requests_error_total", "Total errors in requests", _LABELS)
_IN_PROGRESS: Final = Gauge(
    "crm_requests_in_progress", "Total requests currently in progress", _LABELS, multiprocess_mode="livesum"
)


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


class Exposition(PrometheusController):
    """What Prometheus reads."""

    path = "/metrics"
    opt = PUBLIC
    include_in_schema = False
