"""Builds mongodump and mongorestore with Go, installs mongosh with npm, all into ``.tools``: ``make tools``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".tools" / "bin"
MODULE = "github.com/mongodb/mongo-tools"
#: The repository's tags have no leading v, so Go knows its versions by commit only; this is of the 100 series.
VERSION = "v0.0.0-20250715155915-887641268977"
NAMES = ("mongodump", "mongorestore")
MONGOSH = "mongosh@2.12.0"
_NOT_BUILT = "mongodump and mongorestore cannot be built here, so the tests run on stand-ins"


def main() -> int:
    """Build and install what is not there; exits with 1 where something cannot be, and says why."""
    return max(_mongosh(), _tools())


def _mongosh() -> int:
    folder, npm = FOLDER.parent / "mongosh", shutil.which("npm")
    if (folder / "node_modules" / ".bin" / "mongosh").exists():
        return 0
    if npm is None:
        return _fail("mongosh cannot be installed here: there is no npm")
    folder.mkdir(parents=True, exist_ok=True)
    # Nothing of theirs is run while they are installed.
    command = [
        npm,
        "install",
        "--silent",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(folder),
        MONGOSH,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        return _fail(f"mongosh cannot be installed here: npm ended with {done.returncode}")
    return 0


def _tools() -> int:
    missing = [name for name in NAMES if not (FOLDER / name).exists()]
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if missing and go is None:
        return _fail(f"{_NOT_BUILT}: Go is not installed")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in missing:
        assert go is not None
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            # Both packages are called "main", so each is installed on its own and then given its name.
            command = [
                go,
                "install",
                "-ldflags",
                f"-X main.VersionStr=100-{VERSION}",
                f"{MODULE}/{name}/main@{VERSION}",
            ]
            done = subprocess.run(
                command, env={**os.environ, "GOBIN": folder}, capture_output=True, text=True, check=False
            )
            if done.returncode:
                return _fail(f"{_NOT_BUILT}: {done.stderr.strip().splitlines()[-1]}")
            Path(folder, "main").rename(FOLDER / name)
    sys.stdout.write(f"mongodump and mongorestore are in {FOLDER}\n")
    return 0


def _fail(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
