"""Where backups of these tests are restored to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.fixtures.scratch import scratch
from tests.fixtures.store import Store


@pytest.fixture
def elsewhere(root_uri: str, store: Store) -> Iterator[Store]:
    """Another database of the same server with the same key of the ledger, and nothing in it."""
    with scratch(root_uri, "restored") as there:
        key = store.settings.erasure_key
        yield replace(there, settings=there.settings.model_copy(update={"erasure_key": key}))
