"""A client that openapi-python-client makes of the API's own description, used against a running server."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from tests.e2e.processes import DemoProcess, clean_environment

pytestmark = pytest.mark.e2e
PACKAGE: Final = "generated_crm_client"
#: Lines and archives are bytes to the generator, which has no words for them. Nobody reads the code it makes.
CONFIG: Final = f"""
package_name_override: {PACKAGE}
content_type_overrides:
  application/x-ndjson: application/octet-stream
  application/zip: application/octet-stream
post_hooks: []
"""


@pytest.fixture(scope="module")
def generated(bare_demo: DemoProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is. The generator has nothing to say about the description, or it is wrong."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "config.yml").write_text(CONFIG)
    with bare_demo.client() as client:
        (folder / "openapi.json").write_bytes(client.get("/api/openapi.json").content)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning"]
    command += ["--path", str(folder / "openapi.json"), "--config", str(folder / "config.yml")]
    command += ["--output-path", str(folder / "client")]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert "".join(done.stdout.split()) == f"Generating{folder}/client", done.stdout
    return folder / "client"


@pytest.fixture
def part(generated: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the package by its name."""
    monkeypatch.syspath_prepend(str(generated))

    def of(name: str) -> ModuleType:
        return importlib.import_module(f"{PACKAGE}.{name}")

    yield of
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_there_is_a_function_for_every_operation(generated: Path) -> None:
    paths = json.loads((generated.parent / "openapi.json").read_text())["paths"]
    described = sum(len(operations) for operations in paths.values())
    made = [file for file in (generated / PACKAGE / "api").glob("*/*.py") if file.name != "__init__.py"]
    assert len(made) == described


def test_it_signs_in_pages_changes_and_is_refused_what_is_stale(part: Any, bare_demo: DemoProcess) -> None:
    models = part("models")
    user = bare_demo.credentials["users"]["sales"]
    form = models.PasswordForm(username=user["email"], password=user["password"])
    with part("client").Client(base_url=bare_demo.url) as anonymous:
        token = part("api.auth.sign_in").sync(client=anonymous, body=form)
    assert isinstance(token, models.TokenOut)

    with part("client").AuthenticatedClient(base_url=bare_demo.url, token=token.access_token) as client:
        tag = f"generated-{os.getpid()}"
        for number in range(5):
            new = models.CustomerCreate(last_name=f"Generated {number}", tags=[tag])
            assert isinstance(part("api.customers.create_customer").sync(client=client, body=new), models.CustomerOut)

        listing = part("api.customers.list_customers")
        first = page = listing.sync(client=client, tag=tag, limit=2, count=True)
        found = list(page.items)
        while page.next_cursor:
            page = listing.sync(client=client, tag=tag, limit=2, cursor=page.next_cursor)
            found += page.items
        assert (first.count, first.count_capped, page.next_cursor) == (5, False, None)
        assert [customer.last_name for customer in found] == [f"Generated {number}" for number in (4, 3, 2, 1, 0)]

        read = part("api.customers.get_customer").sync_detailed(client=client, customer_id=found[0].id)
        update = part("api.customers.update_customer")
        etag, change = read.headers["ETag"], models.CustomerUpdate(first_name="Ann")
        changed = update.sync(client=client, customer_id=found[0].id, body=change, if_match=etag)
        assert (changed.first_name, changed.last_name) == ("Ann", "Generated 4")
        assert changed.version == read.parsed.version + 1
        again = models.CustomerUpdate(first_name="Bea")
        stale = update.sync_detailed(client=client, customer_id=found[0].id, body=again, if_match=etag)
        assert (stale.status_code, stale.parsed.code) == (412, "stale_version")
        assert part("api.customers.get_customer").sync(client=client, customer_id=found[0].id).first_name == "Ann"
