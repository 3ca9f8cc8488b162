"""Somebody who is everywhere; and no wait for other processes, of which there are none."""

from __future__ import annotations

import httpx
import pytest
from litestar import Litestar

from crm.database.driver import Database
from crm.people import erasing
from tests.fixtures.store import Store
from tests.people.living import Life


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "HEARD_WITHIN", 0.0)


@pytest.fixture
def zoe(app: Litestar, admin: httpx.AsyncClient, database: Database, store: Store) -> Life:
    return Life(app, admin, database, store)
