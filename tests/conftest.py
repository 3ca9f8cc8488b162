"""One MongoDB for the whole run, one database for each worker; the fixtures are in tests/fixtures."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from crm.database import client
from crm.database.embedded import EmbeddedServer

pytest_plugins = [
    "tests.fixtures.store",
    "tests.fixtures.api",
    "tests.fixtures.fake",
    "tests.fixtures.well",
    "tests.fixtures.tools",
]

ROOT_URI = "CRM_TEST_ROOT_URI"
_TIERS = {"fast", "mongo", "e2e", "failover"}
#: Tiers that need none of it.
_WITHOUT = _TIERS - {"mongo"}
_server: EmbeddedServer | None = None
_folder: Path | None = None

settings.register_profile(
    "crm", deadline=None, derandomize=bool(os.environ.get("CI")), suppress_health_check=list(HealthCheck)
)
settings.load_profile("crm")


def pytest_report_header() -> str:
    """What it all runs on."""
    return client.VERSIONS


def pytest_configure(config: pytest.Config) -> None:
    """Start MongoDB in the controlling process, so that it outlives every worker; tiers that need none go without."""
    global _server, _folder
    if hasattr(config, "workerinput") or config.option.markexpr.strip() in _WITHOUT or config.option.collectonly:
        return
    _folder = Path(tempfile.mkdtemp(prefix="crm-test-"))
    # notablescan: a query that no index serves fails.
    _server = EmbeddedServer(_folder / "data", parameters={"notablescan": "1", "ttlMonitorEnabled": "false"})
    _server.start()
    os.environ[ROOT_URI] = _server.root_uri


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop it again."""
    if _server is not None and _folder is not None and not hasattr(config, "workerinput"):
        _server.stop()
        shutil.rmtree(_folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test says in which tier it is."""
    for item in items:
        tiers = [m.name for m in item.iter_markers() if m.name in _TIERS]
        if len(set(tiers)) != 1:
            raise pytest.UsageError(
                f"{item.nodeid} is in {len(set(tiers))} tiers: mark it with one of {sorted(_TIERS)}"
            )
