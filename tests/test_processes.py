"""What processes use, as the system tells it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from crm.processes import cpu_seconds

pytestmark = [
    pytest.mark.fast,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc"),
]
_BUSY = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"


def _busy() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_processor_time_is_that_of_a_process_and_its_children() -> None:
    before = cpu_seconds(os.getpid())
    assert before is not None
    with _busy() as child:
        assert child.stdout is not None
        child.stdout.readline()
        of_child, after = cpu_seconds(child.pid), cpu_seconds(os.getpid())
        child.communicate(b"\n")
    assert of_child is not None
    assert after is not None
    # The system counts in hundredths of a second, each time of its own cut off.
    assert of_child >= 0.27
    assert after - before >= of_child - 0.02


def test_a_child_of_any_thread_is_a_child() -> None:
    with ThreadPoolExecutor(1) as pool:
        before = cpu_seconds(os.getpid())
        with pool.submit(_busy).result() as child:
            assert child.stdout is not None
            child.stdout.readline()
            after = cpu_seconds(os.getpid())
            child.communicate(b"\n")
    assert before is not None
    assert after is not None
    assert after - before >= 0.25


def test_nobody_knows_of_a_process_that_is_not_there() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
        assert cpu_seconds(child.pid) is None
