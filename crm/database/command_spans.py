"""Spans of commands: name, collection, time and code of an error; neither a filter nor a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pymongo import monitoring

from crm.tracing import Traces

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_ELSEWHERE: Final = "collection"  # where getMore names its collection


class CommandSpans(monitoring.CommandListener):
    """Of one client. The driver calls it in the thread that works, in the context of who asked.

    Only what is done within another span has one: the background looks for work every second.

    Args:
        traces: Makes the spans.
    """

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self._open: dict[int, Span] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """A command is being sent."""
        if self._traces.here() is None:
            return
        named = event.command.get(_ELSEWHERE if event.command_name == "getMore" else event.command_name)
        collection = named if isinstance(named, str) else ""
        self._open[event.request_id] = self._traces.command(
            f"{event.command_name} {collection}".strip(),
            {
                "db.system.name": "mongodb",
                "db.namespace": event.database_name,
                "db.operation.name": event.command_name,
                "db.collection.name": collection,
            },
        )

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """It was answered."""
        if (span := self._open.pop(event.request_id, None)) is not None:
            span.end()

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """It was refused, or the connection broke. The server's message may repeat a document: its code says enough."""
        if (span := self._open.pop(event.request_id, None)) is not None:
            self._traces.failed(span, str(event.failure.get("code", event.failure.get("errtype", "network"))))
            span.end()
