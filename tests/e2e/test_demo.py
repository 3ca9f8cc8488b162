"""`crm demo` as a process: what it writes, how it ends, and that it comes back with its data."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pymongo import MongoClient
from pymongo.uri_parser import parse_uri

from crm.database.embedded import running_uri
from crm.database.embedded_gathering import PATIENCE, SETTINGS
from tests.e2e.processes import ROOT, DemoProcess, clean_environment, crm, descendants, wait_until_gone
from tests.e2e.readme import tour

pytestmark = pytest.mark.e2e
Demos = Callable[[], DemoProcess]
Measured = Callable[[str, float], None]


def is_ready(demo: DemoProcess) -> bool:
    try:
        return httpx.get(f"{demo.url}/health/ready", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def test_the_credentials_file_has_exactly_the_agreed_keys(demo: DemoProcess) -> None:
    content = demo.credentials
    assert set(content) == {"base_url", "mongodb", "users", "api_keys"}
    assert content["base_url"] == demo.url
    assert set(content["mongodb"]) == {"admin", "sales", "ingest", "analyst", "backup"}
    assert set(content["users"]) == {"admin", "sales", "analyst"}
    assert all(set(user) == {"email", "password"} for user in content["users"].values())
    assert set(content["api_keys"]) == {"ingest", "tracking"}
    assert stat.S_IMODE(demo.credentials_file.stat().st_mode) == 0o600


def test_the_sign_in_data_is_printed_too(demo: DemoProcess) -> None:
    for user in demo.credentials["users"].values():
        assert user["email"] in demo.log
        assert user["password"] in demo.log
    for key in demo.credentials["api_keys"].values():
        assert key in demo.log
    assert f"{demo.url}/api/docs" in demo.log


def test_every_credential_of_the_file_works(demo: DemoProcess) -> None:
    for role in ("admin", "sales", "analyst"):
        with demo.staff(role) as client:
            assert client.get("/api/v1/auth/me").json()["role"] == role
    for kind, key in demo.credentials["api_keys"].items():
        with demo.client(Authorization=f"Bearer {key}") as client:
            assert client.get("/api/v1/auth/me").json()["role"] == kind
    for role in demo.credentials["mongodb"]:
        with demo.mongodb(role) as client:
            status = client.get_default_database().command("connectionStatus")
            assert [user["user"] for user in status["authInfo"]["authenticatedUsers"]] == [role]


def test_the_docs_page_loads_nothing_from_elsewhere(demo: DemoProcess) -> None:
    with demo.client() as client:
        page = client.get("/api/docs").raise_for_status().text
        assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page)
        for asset in re.findall(r"(?:src|href)=\"([^\"]+)\"", page):
            client.get(asset).raise_for_status()
        assert client.get("/api/openapi.json").json()["openapi"].startswith("3.1")


def test_the_tour_of_the_readme_works_and_prints_what_it_says(demo: DemoProcess) -> None:
    steps = tour()
    assert len(steps) >= 8
    environment = {**clean_environment(measured=False), "CRM": demo.url, "CREDENTIALS": str(demo.credentials_file)}
    mark = "----- step {} -----"
    script = "\n".join(
        ["set -euo pipefail", *(f"echo '{mark.format(n)}'\n{step.commands}" for n, step in enumerate(steps))]
    )
    bash = ["bash", "-c", script]
    done = subprocess.run(bash, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = re.split(r"----- step \d+ -----\n", done.stdout)[1:]
    assert len(outputs) == len(steps)
    for step, output in zip(steps, outputs, strict=True):
        step.check(output)
    assert is_ready(demo), "the tour leaves the database as declared"


def test_the_second_start_keeps_the_data(demo: DemoProcess, measured: Measured) -> None:
    before, credentials = demo.counts(), demo.credentials
    demo.stop()
    seconds = demo.start()
    measured("second start (the goal is 5 s)", seconds)
    assert seconds < 15
    assert demo.counts() == before
    assert demo.credentials["users"] == credentials["users"]
    assert demo.credentials["api_keys"] == credentials["api_keys"]
    assert "Loading the sample" not in demo.log


def test_after_kill_9_nothing_is_left_running_and_nothing_is_lost(demo: DemoProcess, measured: Measured) -> None:
    before = demo.counts()
    code, children = demo.signal(signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert any("mongod" in command for command in children.values())
    assert any("serve" in command for command in children.values())
    measured("kill -9 until the API and MongoDB were gone", wait_until_gone(children))
    measured("start after kill -9", demo.start())
    assert demo.counts() == before
    assert is_ready(demo)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_cleanly(empty_demo: Demos, number: signal.Signals) -> None:
    demo = empty_demo()
    demo.start()
    code, children = demo.signal(number)
    assert code == 0
    assert [pid for pid in children if pid in descendants(1)] == []
    wait_until_gone(children)
    assert "Stopping" in demo.log
    assert "Traceback" not in demo.log
    # mongod's last words after a clean shutdown; without them the next start would have to recover.
    assert '"exitCode":0' in (demo.data_dir / "mongod.log").read_text().splitlines()[-1]


def test_the_credentials_file_appears_only_when_the_service_is_ready(empty_demo: Demos) -> None:
    demo = empty_demo()
    demo.credentials_file.parent.mkdir(parents=True, exist_ok=True)
    demo.credentials_file.write_text('{"left": "by the last run"}')
    demo.begin()
    deadline, seen_without = time.monotonic() + 60, 0
    while True:
        assert time.monotonic() < deadline, demo.log
        there = demo.credentials_file.exists() and "left" not in demo.credentials_file.read_text()
        if there:
            break
        seen_without += not demo.credentials_file.exists()
        time.sleep(0.005)
    assert is_ready(demo)
    assert seen_without > 0, "the old file was still there while the service was starting"
    demo.stop()


def test_no_sample_means_an_empty_store(empty_demo: Demos, measured: Measured) -> None:
    demo = empty_demo()
    measured("first start, without the sample", demo.start())
    assert "Loading the sample" not in demo.log
    counts = demo.counts()
    assert counts.pop("users") == 3
    assert counts.pop("api_keys") == 2
    assert set(counts.values()) == {0}


def test_one_demo_for_each_data_directory_and_port(empty_demo: Demos, demo: DemoProcess) -> None:
    other = empty_demo()
    for options, reason in (
        (["--data-dir", str(demo.data_dir), "--port", str(other.port)], "is in use by process"),
        (["--data-dir", str(other.data_dir), "--port", str(demo.port)], "Cannot listen on"),
    ):
        refused = crm("demo", "--no-sample", *options)
        assert refused.code == 1
        assert reason in refused.err
        assert len(refused.err.splitlines()) == 1
        assert refused.out == ""
    assert is_ready(demo), "the first one runs on"


def as_docs_say(demo: DemoProcess, host: str, port: int) -> bool:
    """Whether a member has the settings of docs/failover.md, without which a silent one is waited for too long."""
    root = parse_uri(running_uri(demo.data_dir) or "")
    with MongoClient[Any](
        host, port, directConnection=True, username=root["username"], password=root["password"]
    ) as client:
        told = client.admin.command({"getParameter": 1, **dict.fromkeys(PATIENCE, 1)})
        config = client.admin.command("replSetGetConfig")["config"]["settings"]
    return {name: str(told[name]) for name in PATIENCE} == PATIENCE and config.items() >= SETTINGS.items()


def test_three_members_come_back_with_their_data_and_end_with_the_demo(empty_demo: Demos, measured: Measured) -> None:
    demo = empty_demo()
    demo.options = ["--members", "3"]
    measured("first start of three members", demo.start())
    names = parse_uri(demo.credentials["mongodb"]["ingest"])["nodelist"]
    assert len(names) == 3
    assert "replicaSet=rs0" in demo.credentials["mongodb"]["ingest"]
    for name in names:
        assert as_docs_say(demo, *name)
    with demo.client(Authorization=f"Bearer {demo.credentials['api_keys']['ingest']}") as shop:
        shop.put("/api/v1/products/MUG", json={"title": "Mug"}).raise_for_status()
    before = demo.counts()

    code, children = demo.signal(signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert sum("mongod " in command for command in children.values()) == 3
    wait_until_gone(children)
    demo.options = []  # as many as before
    measured("start of three members after kill -9", demo.start())
    assert parse_uri(demo.credentials["mongodb"]["ingest"])["nodelist"] == names
    assert demo.counts() == before
    with demo.mongodb("ingest") as client:
        client.admin.command("ping")
        begun = time.monotonic()
        while len(client.nodes) < 3:  # the first that answers is enough for a ping
            assert time.monotonic() - begun < 30, client.nodes
            time.sleep(0.05)
    demo.stop()
    refused = crm("demo", "--data-dir", str(demo.data_dir), "--port", str(demo.port), "--members", "1")
    assert refused.code == 1
    assert "3 members, which cannot become one of 1" in " ".join(refused.err.split())


def test_a_member_that_is_killed_is_started_again(empty_demo: Demos) -> None:
    demo = empty_demo()
    demo.options = ["--members", "3"]
    demo.start()
    members = {pid: name for pid, name in descendants(demo.process.pid).items() if "mongod " in name}
    victim = next(iter(members))
    os.kill(victim, signal.SIGKILL)
    begun = time.monotonic()
    while len(now := [p for p, name in descendants(demo.process.pid).items() if "mongod " in name and p != victim]) < 3:
        assert time.monotonic() - begun < 30, now
        time.sleep(0.1)
    assert is_ready(demo)
