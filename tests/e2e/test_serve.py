"""The way docker-compose.yml goes, without containers: secrets as files, `crm db apply` as root, `crm serve`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from crm.database.embedded import EmbeddedServer
from crm.identity import API_ROLES
from crm.ops.secrets import write_files
from crm.processes import free_port
from tests.e2e.processes import ROOT, clean_environment, crm, descendants, wait_until_gone

pytestmark = pytest.mark.e2e


@pytest.fixture
def server(mongod: Path, tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "mongodb") as running:
        yield running


def test_from_secrets_to_a_service_that_answers(server: EmbeddedServer, tmp_path: Path) -> None:
    everything, ours = tmp_path / "secrets", tmp_path / "api-secrets"
    assert crm("secrets", str(everything)).code == 0
    assert write_files(everything) == [], "nothing that is there is written again"
    (everything / "crm_mongodb_root_password").write_text(urlsplit(server.root_uri).password or "")
    ours.mkdir()
    for name in ("jwt_secret", "erasure_key", *(f"mongodb_password_{role.value}" for role in API_ROLES)):
        shutil.copy(everything / f"crm_{name}", ours)
    uri = f"mongodb://{server.address.host}:{server.address.port}/?replicaSet={server.address.replica_set}"
    as_root = {"CRM_MONGODB_URI": uri, "CRM_SECRETS_DIR": str(everything)}
    as_api = {"CRM_MONGODB_URI": uri, "CRM_SECRETS_DIR": str(ours)}

    planned = crm("db", "plan", **as_root)
    assert planned.code == 0
    assert "+ collection orders" in planned.out
    assert crm("db", "apply", **as_root).code == 0
    assert crm("db", "check", **as_root).code == 0
    # What a container with the API's secrets may do: keep users and keys, but not without its own password.
    add = ["user", "add", "boss@example.com", "--role", "admin", "--password-stdin"]
    added = crm(*add, stdin="x" * 12, **as_api)
    assert (added.code, added.err) == (0, "")

    port = free_port()
    command = [sys.executable, "-m", "crm", "serve", "--port", str(port), "--workers", "2"]
    environment = {**clean_environment(), **as_api}
    with (tmp_path / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, process, tmp_path / "serve.log")
        form = {"username": "boss@example.com", "password": "x" * 12}
        assert httpx.post(f"{url}/api/v1/auth/token", data=form, timeout=30).status_code == 200
        children = descendants(process.pid)
        process.terminate()
        assert process.wait(30) == 0
        wait_until_gone(children)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    log_text = (tmp_path / "serve.log").read_text()
    assert "boss@example.com" not in log_text
    assert "x" * 12 not in log_text


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/health/ready", timeout=10).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.05)
    raise AssertionError(f"not ready:\n{log.read_text()}")


def test_without_settings_it_names_all_that_is_missing() -> None:
    refused = crm("serve")
    assert refused.code == 1
    assert len(refused.err.splitlines()) == 1
    for name in ("CRM_MONGODB_URI", "CRM_MONGODB_PASSWORD_SALES", "CRM_JWT_SECRET"):
        assert name in refused.err
