"""What people type: the lines of docs/operations.md, run as they stand there."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT, DemoProcess, clean_environment
from tests.e2e.test_backup import order

pytestmark = pytest.mark.e2e
MONGOSH = ROOT / ".tools" / "mongosh" / "node_modules" / ".bin"


def lines() -> list[str]:
    (block,) = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL)
    return str(block).strip().splitlines()


def test_the_lines_do_what_is_said_of_them(bare_demo: DemoProcess, tools_path: str, tmp_path: Path) -> None:
    if not (MONGOSH / "mongosh").exists():
        pytest.skip("there is no mongosh: run `make tools`, which needs npm")
    uris = bare_demo.credentials["mongodb"]
    config = tmp_path / "backup.yaml"
    config.write_text(f"uri: {json.dumps(uris['backup'].replace('/crm?', '/?'))}\n")
    config.chmod(0o600)
    with bare_demo.client(Authorization=f"Bearer {bare_demo.credentials['api_keys']['ingest']}") as shop:
        body = {**order("by-hand@example.com"), "number": "1001"}
        assert shop.put("/api/v1/orders/by-hand/1001", json=body).is_success

    def typed(line: str) -> subprocess.CompletedProcess[str]:
        environment = {**clean_environment(), "SALES": uris["sales"], "HOME": str(tmp_path)}
        environment["PATH"] = f"{MONGOSH}{os.pathsep}{tools_path}{os.pathsep}{environment['PATH']}"
        return subprocess.run(
            ["/bin/bash", "-c", line],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    dump, count, find, remove = lines()
    done = typed(dump)
    assert done.returncode == 0, done.stderr
    with gzip.open(tmp_path / "crm.archive.gz") as archive:
        content = archive.read()
    assert b"by-hand@example.com" in content
    assert b'"collectionName": "forgotten"' not in content  # the ledger's collection
    done = typed(count)
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr
    done = typed(find)
    assert done.returncode == 0, done.stderr
    assert "Decimal128('4.50')" in done.stdout
    done = typed(remove)
    assert done.returncode != 0
    assert "not authorized on crm" in done.stdout + done.stderr
