"""The bulk route over a real socket: results before everything is sent, and clients that do not read meanwhile."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.processes import DemoProcess, descendants

pytestmark = pytest.mark.e2e
LINES = 50_000


@pytest.fixture
def server(bare_demo: DemoProcess) -> DemoProcess:
    return bare_demo


def key(server: DemoProcess) -> str:
    return str(server.credentials["api_keys"]["ingest"])


def event(n: int, source: str) -> bytes:
    body = {"source": source, "message_id": str(n), "type": "page", "anonymous_id": f"v{n % 100}"}
    return json.dumps({**body, "occurred_at": "2026-01-31T12:00:00Z"}).encode() + b"\n"


class Connection:
    """HTTP/1.1 by hand: no client library reads an answer while it still sends."""

    def __init__(self, server: DemoProcess, kind: str = "events") -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        head = f"POST /api/v1/{kind}/bulk HTTP/1.1\r\nHost: crm\r\nAuthorization: Bearer {key(server)}\r\n"
        self.socket.sendall(f"{head}Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        self.stream = self.socket.makefile("rb")
        self.rest = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def finish(self) -> None:
        self.socket.sendall(b"0\r\n\r\n")

    def head(self) -> int:
        status = int(self.stream.readline().split()[1])
        while self.stream.readline().strip():
            pass
        return status

    def row(self) -> Any:
        """The next result; None at the end of the answer."""
        while b"\n" not in self.rest:
            size = int(self.stream.readline(), 16)
            self.rest += self.stream.read(size)
            self.stream.readline()
            if not size:
                return None
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def close(self) -> None:
        self.stream.close()
        self.socket.close()


def memory(server: DemoProcess) -> int:
    """Resident bytes of the API's processes, MongoDB's apart."""
    pids = [pid for pid, name in descendants(server.process.pid).items() if "mongod" not in name.split(" ")[0]]
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def test_results_come_while_the_sender_still_sends(server: DemoProcess) -> None:
    connection = Connection(server)
    for n in range(3):
        connection.send(event(n, "duplex"))
        if n == 0:
            assert connection.head() == 200
        row = connection.row()
        assert (row["line"], row["result"]) == (n + 1, "created")
    connection.send(event(0, "duplex")[:20])
    connection.send(event(0, "duplex")[20:].rstrip())
    connection.finish()
    assert connection.row()["result"] == "unchanged"
    assert connection.row() == {
        "done": True, "lines": 4, "created": 3, "updated": 0, "unchanged": 1, "stale": 0, "refused": 0, "failed": 0,
    }  # fmt: skip
    assert connection.row() is None
    connection.close()


def test_who_reads_only_after_sending_everything_gets_everything(server: DemoProcess) -> None:
    """More results than all the buffers between us hold: 7 MB."""
    before = memory(server)
    connection = Connection(server)
    for start in range(0, LINES, 1000):
        connection.send(b"".join(event(n, "late") for n in range(start, start + 1000)))
    connection.finish()
    assert connection.head() == 200
    for number in range(1, LINES + 1):
        assert connection.row()["line"] == number
    assert connection.row()["created"] == LINES
    assert connection.row() is None
    connection.close()
    assert memory(server) - before < 50 * 1024 * 1024


def test_a_plain_client_sends_it_again(server: DemoProcess) -> None:
    body = gzip.compress(b"".join(event(n, "late") for n in range(LINES)))
    headers = {"Authorization": f"Bearer {key(server)}", "Content-Type": "application/x-ndjson"}
    answer = httpx.post(
        f"{server.url}/api/v1/events/bulk", content=body, headers={**headers, "Content-Encoding": "gzip"}, timeout=120
    )
    assert json.loads(answer.text.splitlines()[-1])["unchanged"] == LINES


def test_curl_waits_for_continue_and_gets_its_answer(server: DemoProcess, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"".join(event(n, "curl") for n in range(2000)))
    headers = [f"Authorization: Bearer {key(server)}", "Content-Type: application/x-ndjson", "Expect: 100-continue"]
    command = ["curl", "--silent", "--show-error", "--max-time", "60", "-X", "POST", "-T", str(file)]
    command += [part for header in headers for part in ("-H", header)]
    done = subprocess.run(
        [*command, f"{server.url}/api/v1/events/bulk"], capture_output=True, text=True, check=False, timeout=90
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1])["created"] == 2000


def test_a_client_that_goes_away_leaves_a_server_that_works(server: DemoProcess) -> None:
    for _ in range(5):
        connection = Connection(server)
        connection.send(b"".join(event(n, "gone") for n in range(3000)))
        assert connection.head() == 200
        assert connection.row()["line"] == 1
        connection.close()
    connection = Connection(server)
    connection.send(b"".join(event(n, "gone") for n in range(3000)))
    connection.finish()
    assert connection.head() == 200
    rows = [connection.row() for _ in range(3001)]
    assert rows[-1]["done"] is True
    assert rows[-1]["created"] + rows[-1]["unchanged"] == 3000
    assert {row["result"] for row in rows[:500]} == {"unchanged"}, "the batch at work was finished"
    connection.close()
