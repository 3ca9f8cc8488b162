"""Builds MongoDB's mongodump and mongorestore with Go into ``.tools/bin``: ``make tools``."""

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


def main() -> int:
    """Build what is not there; exits with 1 where it cannot be built, and says why."""
    missing = [name for name in NAMES if not (FOLDER / name).exists()]
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if missing and go is None:
        return _fail("Go is not installed")
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
                return _fail(f"go install: {done.stderr.strip().splitlines()[-1]}")
            Path(folder, "main").rename(FOLDER / name)
    sys.stdout.write(f"mongodump and mongorestore are in {FOLDER}\n")
    return 0


def _fail(why: str) -> int:
    sys.stderr.write(f"mongodump and mongorestore cannot be built here: {why}. Tests then run on stand-ins.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
