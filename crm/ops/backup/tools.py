"""MongoDB's own tools as processes: found, asked for their version, run without a password on the command line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from crm.database.embedded_process import write_private
from crm.errors import BackupFailed, NotConfigured
from crm.processes import dies_with_parent

_GOOD: Final = (100, 9, 1)
_NUMBERS: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_LINES_KEPT: Final = 20
_SUMMARY: Final = re.compile(r"(\d+) document\(s\) restored successfully\. (\d+) document\(s\) failed to restore")
_APPLIED: Final = re.compile(r"applied (\d+) oplog entries")
#: What may stand in a line of a tool that is a secret: a URI with a password.
_CREDENTIALS: Final = re.compile(r"://[^@/\s]+@")


def find(name: str) -> Path:
    """A tool of MongoDB's on the PATH.

    Raises:
        NotConfigured: It is not there.
    """
    found = shutil.which(name)
    if found is None:
        raise NotConfigured(f"{name} was not found on the PATH: install the MongoDB Database Tools, 100.9.1 or later.")
    return Path(found)


def is_old(version: str) -> bool:
    """Whether these tools may put the keys of validators and views in another order (TOOLS-3411)."""
    found = _NUMBERS.match(version)
    return found is None or tuple(map(int, found.groups())) < _GOOD


def without_database(uri: str) -> str:
    """The URI without the name of a database, which the tools would take for all they have to do."""
    parts = urlsplit(uri)
    database = parts.path.strip("/")
    options = parse_qsl(parts.query)
    if database and "@" in parts.netloc and not any(name.lower() == "authsource" for name, _ in options):
        options.append(("authSource", unquote(database)))
    return parts._replace(path="/", query=urlencode(options)).geturl()


@dataclass(slots=True)
class Running:
    """A tool while it runs.

    Attributes:
        name: Of the tool.
        process: Its process; what it writes or reads is the archive.
        listening: Reads what it logs, to the end.
        lines: The last lines of that.
        figures: Those of its lines that say how much it restored.
    """

    name: str
    process: subprocess.Popen[bytes]
    listening: threading.Thread
    lines: deque[str]
    figures: list[str]

    @property
    def output(self) -> IO[bytes]:
        """What it writes."""
        assert self.process.stdout is not None  # noqa: S101  it was started with a pipe
        return self.process.stdout

    @property
    def input(self) -> IO[bytes]:
        """What it reads."""
        assert self.process.stdin is not None  # noqa: S101  it was started with a pipe
        return self.process.stdin

    def ended(self) -> None:
        """Wait for its end.

        Raises:
            BackupFailed: It did not end well; with its last lines.
        """
        code = self.process.wait()
        self.listening.join()
        if code:
            raise BackupFailed(f"{self.name} ended with {code}: {' | '.join(list(self.lines)[-4:]) or 'no word'}")

    def summary(self) -> tuple[int, int] | None:
        """How many documents mongorestore says it restored, and how many not; None where it does not say."""
        found = self._figure(_SUMMARY)
        return None if found is None else (int(found[1]), int(found[2]))

    def applied(self) -> int | None:
        """How many writes of an oplog mongorestore says it applied; None where it does not say."""
        found = self._figure(_APPLIED)
        return None if found is None else int(found[1])

    def _figure(self, wanted: re.Pattern[str]) -> re.Match[str] | None:
        found = [match for line in self.figures if (match := wanted.search(line))]
        return found[-1] if found else None


@contextmanager
def running(tool: Path, uri: str, arguments: Sequence[str], *, reads: bool) -> Iterator[Running]:
    """Run a tool, signed in with a URI that it finds in a file of its own; whatever happens, it does not outlive this.

    Args:
        tool: Its program.
        uri: With credentials.
        arguments: What it is to do.
        reads: Whether it reads an archive; else it writes one.
    """
    with tempfile.TemporaryDirectory(prefix="crm-backup-") as folder:
        config = Path(folder, "config.yaml")
        write_private(config, f"uri: {json.dumps(without_database(uri))}\n")
        process = subprocess.Popen(  # noqa: S603  our own command line
            [str(tool), f"--config={config}", *arguments],
            stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if reads else subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is ours to handle
            preexec_fn=dies_with_parent(),
        )
        lines: deque[str] = deque(maxlen=_LINES_KEPT)
        figures: list[str] = []
        listening = threading.Thread(target=_listen, args=(process, lines, figures), daemon=True)
        listening.start()
        run = Running(tool.name, process, listening, lines, figures)
        try:
            yield run
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            listening.join()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None and not stream.closed:
                    with suppress(BrokenPipeError):  # what was still to be written is for nobody
                        stream.close()


def _listen(process: subprocess.Popen[bytes], lines: deque[str], figures: list[str]) -> None:
    assert process.stderr is not None  # noqa: S101  it was started with a pipe
    for line in process.stderr:
        said = _CREDENTIALS.sub("://", line.decode(errors="replace").strip())[:300]
        lines.append(said)
        if _SUMMARY.search(said) or _APPLIED.search(said):
            figures.append(said)
