"""Structured logs: JSON lines on stderr, or colours for a person. Of an exception no text, but its type and place."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import structlog


def configure(*, human: bool, level: int = logging.INFO) -> None:
    """Set logging up, once in each process.

    Args:
        human: Colours rather than JSON.
        level: Least level.
    """
    renderer: structlog.types.Processor
    factory: Callable[..., Any]
    if human:
        renderer, factory = (
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
            structlog.PrintLoggerFactory(sys.stderr),
        )
    else:
        # Bytes from encoder to stream: a third of the time of a line (structlog's own advice for busy services).
        renderer, factory = structlog.processors.JSONRenderer(_encode), structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    # What libraries say becomes lines of the same kind.
    if not any(isinstance(handler, _Structured) for handler in logging.getLogger().handlers):
        logging.getLogger().addHandler(_Structured())
    # httpx logs whole URLs, query string included, at INFO.
    for noisy in ("httpx", "httpcore", "pymongo"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def place(exc: BaseException) -> dict[str, object]:
    """Where an exception was raised; its text may hold what a person sent."""
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return {} if trace is None else {"file": trace.tb_frame.f_code.co_filename, "line": trace.tb_lineno}


class _Structured(logging.Handler):
    """Python's own logging, for libraries. Of what they say the first line: asyncio repeats exceptions below it."""

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage().split("\n", 1)[0]
        exc = record.exc_info[1] if record.exc_info else None
        about = {} if exc is None else {"error": type(exc).__name__, **place(exc)}
        structlog.get_logger().log(record.levelno, said, logger=record.name, **about)


def _encode(line: Any, **_options: Any) -> bytes:
    return msgspec.json.encode(line, enc_hook=repr)
