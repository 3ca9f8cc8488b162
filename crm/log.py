"""Structured logs: JSON lines on stderr, or colours for a person."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(*, human: bool, level: int = logging.INFO) -> None:
    """Set logging up, once in each process.

    Args:
        human: Colours rather than JSON.
        level: Least level.
    """
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if human else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # httpx logs whole URLs, query string included, at INFO.
    for noisy in ("httpx", "httpcore", "pymongo"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
