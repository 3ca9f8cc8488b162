"""The embedded server is started, moved, killed and refused as a developer's machine would do it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from pymongo.uri_parser import parse_uri

from crm.database import embedded, embedded_gathering, embedded_member, embedded_process, embedded_replica_set
from crm.database.embedded import EmbeddedAddress, EmbeddedServer, find_mongod
from crm.errors import EmbeddedServerError

Client = MongoClient[dict[str, Any]]

START_AND_WAIT = """
import sys, time
from pathlib import Path
from crm.database.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def connected(uri: str, **options: Any) -> Iterator[Client]:
    client: Client = MongoClient(uri, serverSelectionTimeoutMS=10_000, **options)
    with client:
        yield client


@contextlib.contextmanager
def squatted_port(*, listen: bool = True) -> Iterator[int]:
    """A loopback port that somebody else has; without ``listen`` one that nobody has any more."""
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", 0))
        port = int(squatter.getsockname()[1])
        if listen:
            squatter.listen()
            yield port
    if not listen:
        yield port


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in {"Z", "X"}


def wait_until_ended(pid: int) -> None:
    deadline = time.monotonic() + 15
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def fake_mongod(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "fake-mongod"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(embedded, "find_mongod", lambda: path)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "data für mongod"  # a space and a letter outside ASCII
    yield path
    shutil.rmtree(path, ignore_errors=True)  # pytest keeps the folders of three runs; each journal takes 100 MB


# --- without a server ---


@pytest.mark.fast
def test_uri_escapes_every_part() -> None:
    address = EmbeddedAddress(("127.0.0.1:27018",))

    uri = address.uri("a b@c", "p/w:?+%", "crm")

    assert uri == "mongodb://a%20b%40c:p%2Fw%3A%3F%2B%25@127.0.0.1:27018/crm?authSource=crm&replicaSet=rs0"
    parsed = parse_uri(address.uri("a b@c", "p/w:?+%", "crm", "admin"))
    assert (parsed["username"], parsed["password"]) == ("a b@c", "p/w:?+%")
    assert (parsed["database"], parsed["options"]["authSource"]) == ("crm", "admin")


@pytest.mark.fast
def test_missing_mongod_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embedded, "_wheel_binary", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EmbeddedServerError, match=r"crm\[embedded\].*mongod on the PATH.*CRM_MONGODB_URI"):
        find_mongod()


@pytest.mark.fast
def test_mongod_on_the_path_stands_in_for_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binary = tmp_path / "mongod"
    binary.touch(mode=0o755)
    monkeypatch.setattr(embedded, "_wheel_binary", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_mongod() == binary


@pytest.mark.fast
@pytest.mark.parametrize(
    "script",
    [
        "echo 'mongod: error while loading shared libraries: libcrypto.so.3: cannot open' >&2; exit 127",
        'echo "mongod: /lib/libc.so.6: version `GLIBC_2.34\' not found" >&2; exit 1'.replace("`", r"\`"),
        "kill -ILL $$",
    ],
)
def test_binary_that_cannot_run_says_what_to_do(
    script: str, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_mongod(tmp_path, script, monkeypatch)

    with pytest.raises(EmbeddedServerError, match=r"(libcrypto\.so\.3|GLIBC_2\.34|AVX).*CRM_MONGODB_URI"):
        EmbeddedServer(data_dir).start()


@pytest.mark.fast
def test_binary_that_is_no_program_says_what_to_do(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mongod"
    path.write_bytes(b"\x7fELF for another machine")
    path.chmod(0o755)
    monkeypatch.setattr(embedded, "find_mongod", lambda: path)

    with pytest.raises(EmbeddedServerError, match=r"Exec format error.*CRM_MONGODB_URI"):
        EmbeddedServer(data_dir).start()


@pytest.mark.fast
def test_server_that_is_never_ready_is_given_up(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_mongod(tmp_path, f"echo $$ > '{tmp_path}/pid'; exec sleep 600", monkeypatch)
    monkeypatch.setattr(embedded, "START_TIMEOUT", 0.5)

    with pytest.raises(EmbeddedServerError, match=r"not ready after 0\.5 s.*mongod\.log"):
        EmbeddedServer(data_dir).start()

    assert not is_running(int((tmp_path / "pid").read_text()))


@pytest.mark.fast
def test_mongod_deaf_to_sigterm_is_killed(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mongod(tmp_path, f"trap '' TERM; echo $$ > '{tmp_path}/pid'; while :; do sleep 0.1; done", monkeypatch)
    monkeypatch.setattr(embedded, "START_TIMEOUT", 0.5)
    monkeypatch.setattr(embedded, "STOP_TIMEOUT", 0.2)

    with pytest.raises(EmbeddedServerError, match="not ready"):
        EmbeddedServer(data_dir).start()

    assert not is_running(int((tmp_path / "pid").read_text()))


TOLD = '{"s": "F", "msg": "Failed to set up sockets", "attr": {"error": "Address already in use"}}'
ABORTED = f"echo '{TOLD}'; kill -ABRT $$"


@pytest.mark.fast
@pytest.mark.parametrize(("ending", "code"), [("exit 48", "48"), (ABORTED, "-6")])
def test_port_lost_to_another_process_is_replaced(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, code: str
) -> None:
    fake_mongod(tmp_path, f"echo $* >> '{tmp_path}/calls'; {ending}", monkeypatch)

    with pytest.raises(EmbeddedServerError, match=f"exit code {code}"):
        EmbeddedServer(data_dir).start()

    calls = (tmp_path / "calls").read_text().splitlines()
    assert len({call.split("--port ")[1].split()[0] for call in calls}) == 3


@pytest.mark.fast
def test_orphan_that_does_not_end_is_named(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = data_dir / "mongodb" / "mongod.lock"
    lock.parent.mkdir(parents=True)
    orphan = embedded_process.DirectoryLock(lock)  # flocked, with a process id in it: as mongod does
    orphan.acquire()
    monkeypatch.setattr(embedded, "ORPHAN_TIMEOUT", 0.1)
    try:
        with pytest.raises(EmbeddedServerError, match=f"mongod process {os.getpid()}"):
            EmbeddedServer(data_dir).start()
    finally:
        orphan.release()


@pytest.mark.fast
def test_unreadable_memory_is_not_overwritten(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "embedded.json").write_text("{}")

    with pytest.raises(EmbeddedServerError, match=r"embedded\.json cannot be read"):
        EmbeddedServer(data_dir).start()

    assert (data_dir / "embedded.json").read_text() == "{}"


@pytest.mark.fast
def test_stopped_server_has_no_address(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    server.stop()  # does nothing

    for name in ("address", "root_uri", "pid"):
        with pytest.raises(EmbeddedServerError, match="not running"):
            getattr(server, name)


# --- with one ---


@pytest.mark.mongo
def test_second_start_keeps_data_password_and_port(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        first = (server.root_uri, server.address.port)
        with connected(server.root_uri) as client:
            client.crm.things.insert_one({"_id": 1})

    with EmbeddedServer(data_dir) as server:
        assert (server.root_uri, server.address.port) == first
        with connected(server.root_uri) as client:
            assert client.crm.things.find_one() == {"_id": 1}


@pytest.mark.mongo
def test_one_object_can_be_started_again_but_not_twice(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    try:
        server.start()
        pid = server.pid
        with pytest.raises(EmbeddedServerError, match="started already"):
            server.start()
        assert is_running(pid)  # the refused start does no harm
        server.stop()
        server.stop()
        assert not is_running(pid)
        server.start()
        assert is_running(server.pid)
    finally:
        server.stop()


@pytest.mark.mongo
def test_nobody_reads_without_a_password_and_no_file_is_open_to_others(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        direct = f"mongodb://127.0.0.1:{server.address.port}/?directConnection=true"
        with connected(direct) as client, pytest.raises(OperationFailure) as refusal:
            client.crm.things.find_one()
        assert refusal.value.code == 13
        with connected(direct) as client, pytest.raises(OperationFailure) as refusal:
            client.admin.command("createUser", "mallory", pwd="x", roles=["root"])
        assert refusal.value.code == 13

        assert {mode(path) for path in (data_dir, data_dir / "mongodb")} == {0o700}
        names = ("mongod.log", "keyfile", "embedded.json", "lock")
        assert {name: mode(data_dir / name) for name in names} == dict.fromkeys(names, 0o600)
        assert {path.name for path in data_dir.iterdir()} == {*names, "mongodb"}
        assert not Path(f"/tmp/mongodb-{server.address.port}.sock").exists()  # noqa: S108  where mongod would put it


@pytest.mark.mongo
def test_a_parameter_that_mongod_does_not_know_is_left_out() -> None:
    """Another mongod on the PATH may know neither of those that three members get: it must start all the same."""
    known = embedded_gathering.PATIENCE
    assert embedded_process.understood(find_mongod(), {**known, "noSuchParameter": "1"}) == known
    assert embedded_process.understood(Path("/bin/false"), known) == {}


@pytest.mark.mongo
def test_server_side_javascript_is_off_and_parameters_are_passed(data_dir: Path) -> None:
    with (
        EmbeddedServer(data_dir, parameters={"notablescan": "true"}) as server,
        connected(server.root_uri) as client,
    ):
        found = client.admin.command({"getParameter": 1, "notablescan": 1, "diagnosticDataCollectionEnabled": 1})
        assert (found["notablescan"], found["diagnosticDataCollectionEnabled"]) == (True, False)
        client.crm.things.insert_one({})
        with pytest.raises(OperationFailure, match="globalScriptEngine"):
            client.crm.things.find_one({"$where": "true"}, hint="_id_")


@pytest.mark.mongo
def test_second_server_on_the_same_directory_is_refused(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        with pytest.raises(EmbeddedServerError, match=f"is in use by process {os.getpid()}"):
            EmbeddedServer(data_dir).start()
        assert is_running(server.pid)


@pytest.mark.mongo
def test_taken_port_is_refused_by_its_number(data_dir: Path) -> None:
    with squatted_port() as port, pytest.raises(EmbeddedServerError, match=f"Port {port} "):
        EmbeddedServer(data_dir, port=port).start()


@pytest.mark.mongo
def test_other_port_moves_the_replica_set(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server, connected(server.root_uri) as client:
        client.crm.things.insert_one({"_id": 1})
        last = server.address.port
    with squatted_port(listen=False) as port:
        pass

    with EmbeddedServer(data_dir, port=port) as server, connected(server.root_uri) as client:
        assert server.address.port == port != last
        client.crm.get_collection("things").insert_one({"_id": 2})
        assert client.crm.things.count_documents({}) == 2
        assert client.nodes == {("127.0.0.1", port)}

    with EmbeddedServer(data_dir) as server:  # without a port: the last one
        assert server.address.port == port


@pytest.mark.mongo
def test_last_port_taken_by_another_mongod_moves_the_replica_set(data_dir: Path, tmp_path: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        last = server.address.port

    with EmbeddedServer(tmp_path / "other", port=last), EmbeddedServer(data_dir) as server:
        assert server.address.port != last
        with connected(server.root_uri) as client:
            client.crm.things.insert_one({})
    shutil.rmtree(tmp_path / "other")


@pytest.mark.mongo
def test_journaled_writes_survive_kill_of_mongod(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    server.start()
    try:
        with connected(server.root_uri, w="majority", journal=True) as client:
            client.crm.things.insert_many([{"_id": number} for number in range(1000)])
            os.kill(server.pid, signal.SIGKILL)
        # Until its last thread is gone a killed process has a zombie as its leader and cannot be collected yet.
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)

        server.start()  # the same object, without stop()

        with connected(server.root_uri) as client:
            assert client.crm.things.count_documents({}) == 1000
    finally:
        server.stop()


@pytest.mark.mongo
def test_mongod_ends_with_a_killed_parent(data_dir: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", START_AND_WAIT, str(data_dir)], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
        with pytest.raises(EmbeddedServerError, match=f"is in use by process {parent.pid}"):
            EmbeddedServer(data_dir).start()
        parent.kill()

    # mongod takes a second to shut down, so the next start finds it still there and has to wait.
    with EmbeddedServer(data_dir) as server:
        assert server.pid != orphan
        wait_until_ended(orphan)


@pytest.mark.mongo
def test_mongod_outlives_the_thread_that_started_it_and_ignores_the_terminal(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    try:
        time.sleep(0.3)
        with connected(server.root_uri) as client:
            client.admin.command("ping")
        assert os.getpgid(server.pid) == server.pid != os.getpgid(0)
    finally:
        server.stop()


@pytest.mark.mongo
@pytest.mark.parametrize("moved", [False, True])
def test_initialisation_cut_off_before_the_user_is_completed(
    moved: bool, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedServer(data_dir)

    def cut_off(*args: object) -> None:
        os.kill(server.pid, signal.SIGKILL)
        raise RuntimeError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(embedded_replica_set, "create_root", cut_off)
        with pytest.raises(RuntimeError, match="cut off"):
            server.start()
    last = json.loads((data_dir / "embedded.json").read_text())["port"]

    with squatted_port(listen=False) as port:
        pass
    with EmbeddedServer(data_dir, port=port if moved else None) as server:
        assert (server.address.port == last) is not moved
        with connected(server.root_uri) as client:
            client.crm.things.insert_one({})


@pytest.mark.mongo
@pytest.mark.parametrize("step", ["keyfile", "embedded.json", "mongod"])
def test_initialisation_cut_off_before_the_replica_set_is_completed(
    step: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start is cut off right before the step, with half of a file written."""

    def cut_off(*args: object) -> None:
        raise RuntimeError("cut off")

    def write_or_cut_off(path: Path, text: str) -> None:
        if path.name == step:
            path.with_name(f"{step}.new").write_text(text[:5])
            cut_off()
        embedded_process.write_private(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "write_private", write_or_cut_off)
        patch.setattr(embedded_member, "spawn", cut_off)
        with pytest.raises(RuntimeError, match="cut off"):
            EmbeddedServer(data_dir).start()

    with EmbeddedServer(data_dir) as server, connected(server.root_uri) as client:
        client.crm.things.insert_one({})


@pytest.mark.mongo
def test_lost_password_is_said_so(data_dir: Path) -> None:
    with EmbeddedServer(data_dir):
        pass
    (data_dir / "embedded.json").unlink()

    with pytest.raises(EmbeddedServerError, match=r"another password than embedded\.json"):
        EmbeddedServer(data_dir).start()


@pytest.mark.mongo
def test_early_exit_quotes_the_log(data_dir: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r"Unknown --setParameter 'no_such'.*mongod\.log"):
        EmbeddedServer(data_dir, parameters={"no_such": "1"}).start()

    with EmbeddedServer(data_dir):  # neither the lock nor a process is left behind
        pass
    table = data_dir / "mongodb" / "WiredTiger.turtle"
    table.write_text("damaged")
    with pytest.raises(EmbeddedServerError, match=r"exit code.*WiredTiger.turtle: fatal turtle.*mongod\.log"):
        EmbeddedServer(data_dir).start()
