"""Schemathesis against a running server, once as each role: all its checks, stateful ones too, and no failure.

What is asked follows from the seed, which is printed. A longer look, which also takes the tool's own list of borderline
cases in full, is ``make fuzz``; what is excepted from a check, and why, is in schemathesis.toml.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.e2e.processes import ROOT, DemoProcess, clean_environment, crm

pytestmark = pytest.mark.e2e
SEED: Final = int(os.environ.get("CRM_SCHEMATHESIS_SEED", "1"))
#: Examples of each operation; where it is set, the run is a long one.
EXAMPLES: Final = os.environ.get("CRM_SCHEMATHESIS_EXAMPLES", "")
#: The tool's list of borderline cases has hundreds for a body, such as one for each country and currency, and as many
#: invalid ones for the parameters of a list.
SHORT: Final = """
[phases.coverage.generation]
mode = "positive"
[[operations]]
include-method = ["POST", "PUT", "PATCH"]
[operations.phases.coverage]
enabled = false
"""
CONFIGURATION: Final = Path(__file__).with_name("schemathesis.toml")
#: Staff, keys, and whoever is none of them. A salesperson without pii:read is "masked".
ROLES: Final = ("admin", "sales", "masked", "analyst", "ingest", "tracking", "anonymous")
PASSWORD: Final = "correct horse battery staple"


@pytest.fixture(scope="module")
def fuzzed(mongod: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """A demo of its own: nobody wants to find what is left in it."""
    running = DemoProcess(tmp_path_factory.mktemp("fuzzed") / "data", sample=False, measured=False)
    try:
        running.start()
        add = ["user", "add", "masked@example.com", "--role", "sales", "--no-pii", "--password-stdin"]
        at = ["--mongodb-uri", running.credentials["mongodb"]["admin"]]
        done = crm(*add, *at, stdin=PASSWORD)
        assert done.code == 0, done.err
        yield running
    finally:
        running.stop()


def credential(demo: DemoProcess, role: str) -> str | None:
    """A token or key."""
    if role in demo.credentials["api_keys"]:
        return str(demo.credentials["api_keys"][role])
    if role == "anonymous":
        return None
    user = demo.credentials["users"].get(role, {"email": "masked@example.com", "password": PASSWORD})
    form = {"username": user["email"], "password": user["password"]}
    answer = httpx.post(f"{demo.url}/api/v1/auth/token", data=form, timeout=30)
    return str(answer.raise_for_status().json()["access_token"])


@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_otherwise_than_described(
    role: str, fuzzed: DemoProcess, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    own = credential(fuzzed, role)
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION.read_text() + ("" if EXAMPLES else SHORT))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)]
    command += ["run", f"{fuzzed.url}/api/openapi.json", "--seed", str(SEED), "--workers", "2"]
    command += ["--max-examples", EXAMPLES or "2"]
    if not EXAMPLES and role != "admin":
        command += ["--phases", "examples,fuzzing,stateful"]
    if own:
        command += ["--header", f"Authorization: Bearer {own}"]
    write_key = base64.b64encode(f"{own}:".encode()).decode()
    environment = {**clean_environment(measured=False), "PYTHONPATH": str(ROOT)}
    environment |= {"FUZZ_WRITE_KEY": f"Basic {write_key}"}
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    tell(f"schemathesis as {role}, seed {SEED}: {said(done.stdout)}, {time.monotonic() - begun:.0f} s")
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr


def said(output: str) -> str:
    """How many cases there were."""
    return next((line.strip() for line in output.splitlines() if " generated" in line), "nothing was generated")
