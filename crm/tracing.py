"""Traces by OpenTelemetry (the extra ``otel``): spans of requests, batches and commands, without a value in them.

Exceptions are not recorded and statements are not shown: both hold what people sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from crm.errors import NotConfigured

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanContext


class Traces:
    """Makes spans.

    Args:
        provider: Of OpenTelemetry; ends with us.
        version: Of the service.
    """

    def __init__(self, provider: TracerProvider, version: str) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation import tracecontext

        self._api = trace
        self._provider = provider
        self._tracer = provider.get_tracer("crm", version)
        self._propagator = tracecontext.TraceContextTextMapPropagator()

    @classmethod
    def start(cls, version: str) -> Traces:
        """Send spans to where OpenTelemetry's own variables say.

        Raises:
            NotConfigured: The library is not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import OTELResourceDetector, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            raise NotConfigured(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set and OpenTelemetry is not installed: install crm[otel], or unset it."
            ) from None
        resource = Resource({"service.name": "crm", "service.version": version}).merge(OTELResourceDetector().detect())
        provider = TracerProvider(resource=resource)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider, version)

    def stop(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    def here(self) -> SpanContext | None:
        """The span that the present task works in."""
        context = self._api.get_current_span().get_span_context()
        return context if context.is_valid else None

    def request(self, name: str, headers: Mapping[str, str]) -> AbstractContextManager[Span]:
        """A request's span, within the trace that its headers name, if they do."""
        return self._tracer.start_as_current_span(
            name,
            context=self._propagator.extract(headers),
            kind=self._api.SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        )

    def batch(self, of: str, items: int, spans: Iterable[SpanContext | None]) -> AbstractContextManager[Span]:
        """The span of a batch: a trace of its own, linked to the spans in which its items were submitted."""
        linked = {span.span_id: span for span in spans if span is not None}
        return self._tracer.start_as_current_span(
            f"write {of} together",
            attributes={"crm.items": items},
            links=[self._api.Link(span) for span in linked.values()],
            record_exception=False,
            set_status_on_exception=False,
        )

    def command(self, name: str, attributes: Mapping[str, Any]) -> Span:
        """A span of a command to the database; whoever makes it ends it."""
        return self._tracer.start_span(name, kind=self._api.SpanKind.CLIENT, attributes=dict(attributes))

    def failed(self, span: Span, reason: str) -> None:
        """Mark a span as failed.

        Args:
            span: Which.
            reason: A code or the name of a type, never a message.
        """
        span.set_attribute("error.type", reason)
        span.set_status(self._api.Status(self._api.StatusCode.ERROR))
