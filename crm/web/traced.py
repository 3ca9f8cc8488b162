"""A span for each request, around everything else."""

from __future__ import annotations

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from crm.tracing import Traces

#: W3C Trace Context.
_CARRIED = {b"traceparent", b"tracestate"}


class Traced:
    """Traces requests by method and template; a path or a query string may name somebody.

    Args:
        app: ASGI.
        traces: Makes the spans.
    """

    def __init__(self, app: ASGIApp, traces: Traces) -> None:
        self.app = app
        self.traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        method, template = str(scope.get("method")), scope["path_template"]
        carried = {n.decode("latin-1"): value.decode("latin-1") for n, value in scope["headers"] if n in _CARRIED}
        with self.traces.request(f"{method} {template}", carried) as span:
            span.set_attributes({"http.request.method": method, "http.route": template})
            structlog.contextvars.bind_contextvars(trace_id=f"{span.get_span_context().trace_id:032x}")

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        self.traces.failed(span, str(message["status"]))
                await send(message)

            try:
                await self.app(scope, receive, send_and_note)
            finally:
                span.set_attribute("crm.request_id", str(scope.get("crm_request_id")))
                span.set_attribute("crm.principal", str(getattr(scope.get("crm_principal"), "id", "")))
                structlog.contextvars.unbind_contextvars("trace_id")
