"""Bodies of tracking clients over a real connection: an old client reads every refusal, and a bomb costs no memory."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from crm.processes import resident_bytes
from tests.e2e.processes import DemoProcess, descendants
from tests.fixtures.tracking import basic, batch, message

pytestmark = pytest.mark.e2e


@pytest.fixture
def headers(bare_demo: DemoProcess) -> dict[str, str]:
    return basic(bare_demo.credentials["api_keys"]["tracking"])


@contextmanager
def connection(demo: DemoProcess) -> Iterator[http.client.HTTPConnection]:
    """As Python's own libraries send: all of the body before they read a byte."""
    client = http.client.HTTPConnection(urlsplit(demo.url).netloc, timeout=30)
    try:
        yield client
    finally:
        client.close()


@pytest.mark.parametrize("size", [600_000, 5_000_000, 12_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_who_sends_too_much_reads_why_and_goes_on(
    size: int, chunked: bool, bare_demo: DemoProcess, headers: dict[str, str]
) -> None:
    body = b" " * size
    pieces = (body[at : at + 65_536] for at in range(0, size, 65_536))
    with connection(bare_demo) as client:
        client.request("POST", "/v1/batch", pieces if chunked else body, headers, encode_chunked=chunked)
        answer = client.getresponse()
        problem = json.loads(answer.read())
        assert (answer.status, problem["code"], bool(problem["message"])) == (413, "payload_too_large", True)
        client.request("POST", "/v1/batch", batch(message()), headers)
        answer = client.getresponse()
        assert (answer.status, json.loads(answer.read())["accepted"]) == (200, 1)


def test_bombs_cost_no_memory(bare_demo: DemoProcess, headers: dict[str, str]) -> None:
    # The first of them is the parent of its workers.
    server = min(pid for pid, command in descendants(bare_demo.process.pid).items() if " serve " in command)
    bomb = gzip.compress(b"\0" * 50_000_000)

    def throw(_turn: int) -> int:
        with connection(bare_demo) as client:
            client.request("POST", "/v1/batch", bomb, {**headers, "Content-Encoding": "gzip"})
            return client.getresponse().status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(throw, range(16))) == {413}
        before = resident_bytes(server) or 0
        assert set(pool.map(throw, range(100))) == {413}
        assert (resident_bytes(server) or 0) - before < 20_000_000  # 5 GB, unpacked
