"""Installs the published libraries, pinned and unmodified, into ``.tools/sdks``: ``python -m tests.e2e.sdks.install``.

What cannot be had (no npm, no network) is said and left out; the exit code is 1, and the tests that need it skip.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
INSTALLED = HERE.parents[2] / ".tools" / "sdks"
NODE = INSTALLED / "node"


def main() -> int:
    """Install what is not there yet."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    done = [_python(pins) for pins in sorted((HERE / "python").glob("*.txt"))]
    return 0 if all([*done, _node()]) else 1


def python_folder(library: str) -> Path:
    """Where a Python library and what it needs are, by themselves: two versions of one live side by side."""
    return INSTALLED / "python" / library


def _python(pins: Path) -> bool:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    return _install(python_folder(pins.stem), pins, [*command, "--retries", "1", "-r", str(pins), "--target", "."])


def _node() -> bool:
    npm = shutil.which("npm")
    if npm is None:
        _say("There is no npm: the libraries for Node.js and browsers are left out.")
        return False
    # Nothing of theirs is run while they are installed.
    command = [npm, "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries", "1"]
    return _install(NODE, HERE / "package-lock.json", command)


def _install(folder: Path, pins: Path, command: Sequence[str]) -> bool:
    """Install into a new folder, and put it in place only when it is whole."""
    stamp = folder / ".pins"
    if stamp.is_file() and stamp.read_bytes() == pins.read_bytes():
        return True
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    if pins.suffix == ".json":
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, fresh)
    try:
        subprocess.run(command, cwd=fresh, check=True, timeout=600)
    except (subprocess.SubprocessError, OSError) as error:
        _say(f"{folder.name} could not be installed: {error}")
        return False
    (fresh / stamp.name).write_bytes(pins.read_bytes())
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return True


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
