"""Child processes that do not outlive us, the ports they listen on, and what they use."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
# Loaded before any fork: the child must not load a library between fork and exec.
_LIBC: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def dies_with_parent() -> Callable[[], None] | None:
    """A ``preexec_fn`` that lets the child get SIGTERM however we end, kill -9 included; None where not on Linux.

    The *thread* that forks must live as long as the child shall: for the kernel that thread is the parent.
    """
    libc, parent = _LIBC, os.getpid()
    if libc is None:
        return None

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before prctl, so no signal will come
            os._exit(1)

    return before_exec


def die_with_parent(parent: int) -> None:
    """From now on get SIGTERM when our parent ends, however it ends; end at once where it is gone already.

    Args:
        parent: Its process id. The *thread* of it that forked us must live as long as we shall.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)


def free_port() -> int:
    """A loopback port that nobody uses at this moment; another process may still be faster."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def resident_bytes(pid: int) -> int | None:
    """Memory of a process and all its children; None where not on Linux.

    Pages that processes share, as forks do, are counted once: in each process for its part (proportional set size).
    """
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        children = _children(pid)
        own = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return None
    below = (resident_bytes(child) for child in children)
    return own * 1024 + sum(found for found in below if found is not None)


def cpu_seconds(pid: int) -> float | None:
    """Processor time of a process and all its children since each began; None where not on Linux."""
    try:
        # The name, in brackets, may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        children = _children(pid)
    except OSError:
        return None
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    below = (cpu_seconds(child) for child in children)
    return own + sum(found for found in below if found is not None)


def _children(pid: int) -> list[int]:
    """Linux keeps them with the thread that began each."""
    children: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # it has ended meanwhile
            children += map(int, (thread / "children").read_text(encoding="ascii").split())
    return children
