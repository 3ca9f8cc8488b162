"""The libraries: how each is started, and what differs between them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.sdks import install
from tests.e2e.sdks.story import Call

_ENDS_WITHIN = 150.0


@dataclass(frozen=True)
class Library:
    """One published library.

    Attributes:
        name: Its folder, for a Python one.
        module: Where its ``Client`` is; None for one for Node.js.
        program: Drives it.
        says: How it names itself in ``context.library``.
        version: The same.
        settings: What the plain test sets, which is nothing: as it is delivered.
        persistent: What it needs to go on for as long as a restart takes.
    """

    name: str
    module: str | None
    program: str
    says: str
    version: str
    settings: dict[str, Any] = field(default_factory=dict)
    persistent: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def must_be_there(self) -> None:
        """Skip the test, with the reason, where the library is not installed."""
        folder = install.NODE if self.module is None else install.python_folder(self.name)
        if not folder.is_dir():
            pytest.skip(f"{self.name} is not installed: `make sdks` says why")
        if self.module is None and shutil.which("node") is None:
            pytest.skip("there is no Node.js (the program `node`)")

    def command(self, task: Path) -> tuple[list[str], dict[str, str]]:
        """The command line and the environment."""
        program = install.HERE / self.program
        if self.module is None:
            return ["node", str(program), str(task)], _environment(NODE_PATH=str(install.NODE / "node_modules"))
        folder = str(install.python_folder(self.name))
        # -S: nothing that our own environment has is there as well.
        return [sys.executable, "-S", str(program), self.module, str(task)], _environment(PYTHONPATH=folder)


LIBRARIES = (
    Library("segment-2.3.4", "segment.analytics.client", "drive_python.py", "analytics-python", "2.3.4"),
    Library("segment-2.4.0", "segment.analytics.client", "drive_python.py", "analytics-python", "2.4.0"),
    Library("rudder-2.1.9", "rudderstack.analytics.client", "drive_python.py", "analytics-python", "2.1.9"),
    Library("segment-node-3.1.0", None, "drive_segment_node.cjs", "@segment/analytics-node", "3.1.0"),
    # Three retries within 1.4 s are its default: they end before any server has started again.
    Library(
        "rudder-node-3.0.13",
        None,
        "drive_rudder_node.cjs",
        "analytics-node",
        "3.0.13",
        persistent={"retryCount": 8},
    ),
)


@dataclass
class Driven:
    """A library at work.

    Attributes:
        ids: The message ids of the calls, in their order.
        failures: What the library reported; it gave up on something.
    """

    ids: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


async def drive(
    library: Library,
    folder: Path,
    *,
    host: str,
    key: str,
    calls: Sequence[Call],
    pause: float = 0.0,
    given: Callable[[int], None] = lambda _number: None,
    **settings: Any,
) -> Driven:
    """Have a library send all calls in a process of its own, and wait until it has got rid of them.

    Args:
        library: Which one.
        folder: For the file that tells its driver what to do.
        host: Of the service.
        key: The write key.
        calls: In this order.
        pause: Seconds between two of them.
        given: Told how many the library has been given, every twenty.
        settings: Of the library.
    """
    task = folder / f"{library}.json"
    sent = [call.to_send() for call in calls]
    task.write_text(json.dumps({"host": host, "key": key, "settings": settings, "pause": pause, "calls": sent}))
    command, environment = library.command(task)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, limit=2**22
    )
    assert process.stdout is not None
    assert process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    driven = Driven()
    try:
        async with asyncio.timeout(_ENDS_WITHIN):
            async for line in process.stdout:
                told = json.loads(line)
                given(told.get("given", 0))
                driven = Driven(told.get("ids", []), told.get("failures", []))
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    shown = (await errors).decode()
    assert code == 0, shown
    assert len(driven.ids) == len(calls), shown
    return driven


def _environment(**more: str) -> dict[str, str]:
    """Only what a program needs to start, and no proxy."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **more}
