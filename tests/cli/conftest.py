"""What commands change of the process that they run in here."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """``crm backup`` sets logging up, for a stream that is closed when the test ends: other tests log, too."""
    root = logging.getLogger()
    before, handlers = structlog.get_config(), list(root.handlers)
    yield
    structlog.configure(**before)
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
