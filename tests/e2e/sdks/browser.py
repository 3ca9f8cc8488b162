"""A shop's website on a loopback port of its own, and a visitor with Chromium."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from tests.e2e.sdks import install

_UMD = install.NODE / "node_modules" / "@segment" / "analytics-next" / "dist" / "umd"
_TELLS_WITHIN = 60.0


def chromium() -> str:
    """The program; without it, or without the library, the test is skipped with the reason."""
    if not _UMD.is_dir():
        pytest.skip("@segment/analytics-next is not installed: `make sdks` says why")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium (Debian: apt-get install chromium)")
    return program


@dataclass
class Shop:
    """The website: its page, the library as npm has it, and what the page tells."""

    port: int
    told: Queue[dict[str, Any]] = field(default_factory=Queue)

    def origin(self, host: str = "127.0.0.1") -> str:
        """Of its pages: the same port by another name is another origin."""
        return f"http://{host}:{self.port}"


@contextmanager
def open_shop() -> Iterator[Shop]:
    """Serve the website."""
    told: Queue[dict[str, Any]] = Queue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Website, told=told))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Shop(server.server_port, told)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Website(SimpleHTTPRequestHandler):
    def __init__(self, *arguments: Any, told: Queue[dict[str, Any]]) -> None:
        self._told = told
        super().__init__(*arguments, directory=str(_UMD.parent))

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer("text/html; charset=utf-8", (install.HERE / "page.html").read_bytes())
        else:
            super().do_GET()

    def do_POST(self) -> None:
        self._told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer("text/plain", b"")

    def _answer(self, content_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""


async def visit(program: str, shop: Shop, address: str, folder: Path) -> dict[str, Any]:
    """Open a page of the shop in a browser that nobody has used, and wait for what the page tells."""
    with _browser(program, address, folder):
        try:
            return await asyncio.to_thread(shop.told.get, timeout=_TELLS_WITHIN)
        except Empty:
            log = (folder / "chromium.log").read_text(errors="replace")
            raise AssertionError(f"the page told nothing:\n{log}") from None


@contextmanager
def _browser(program: str, address: str, folder: Path) -> Iterator[None]:
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    options += ["--disable-background-networking", "--disable-sync", "--no-proxy-server", "--enable-logging=stderr"]
    # Nothing but this machine: the library must not find anybody else to talk to.
    options += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"]
    command = [program, *options, f"--user-data-dir={folder / 'profile'}", address]
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it and the processes that it started
        process.wait()
