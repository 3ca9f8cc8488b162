"""Builds MongoDB's mongodump and mongorestore with Go, and installs mongosh with npm, into ``.tools``: ``make tools``.

``tests/mongo_tools/go.mod`` pins the version, ``go.sum`` what each module must be. The repository's tags have no
leading v, so Go knows its versions by commit only. This is the newest whose checksum Go's public database knows (on
2026-11-25); it lies between the releases 100.6.0 and 100.6.1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".tools" / "bin"
PINNED = ROOT / "tests" / "mongo_tools"
MODULE = "github.com/mongodb/mongo-tools"
VERSION, COMMIT = "100.6.1-rc", "6d9d341edd33"
NAMES = ("mongodump", "mongorestore")
MONGOSH = "mongosh@2.12.0"


def main() -> int:
    """Build and install what is not there; exits with 1 where something cannot be, and says why."""
    return max(_mongosh(), _tools())


def _mongosh() -> int:
    folder, npm = FOLDER.parent / "mongosh", shutil.which("npm")
    if (folder / "node_modules" / ".bin" / "mongosh").exists():
        return 0
    if npm is None:
        return _fail("mongosh", "there is no npm")
    folder.mkdir(parents=True, exist_ok=True)
    # Nothing of theirs is run while they are installed.
    options = ["--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
    done = subprocess.run([npm, "install", *options, MONGOSH], capture_output=True, check=False, timeout=600)
    return _fail("mongosh", f"npm ended with {done.returncode}") if done.returncode else 0


def _tools() -> int:
    missing = [name for name in NAMES if not (FOLDER / name).exists()]
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if missing and go is None:
        return _fail("mongodump", "Go is not installed")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in missing:
        assert go is not None
        said = f"-X main.VersionStr={VERSION} -X main.GitCommit={COMMIT}"
        command = [go, "build", "-mod=readonly", "-trimpath", "-ldflags", said, "-o", str(FOLDER / name)]
        done = subprocess.run(
            [*command, f"{MODULE}/{name}/main"],
            cwd=PINNED,
            env={**os.environ, "GOFLAGS": "", "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return _fail(name, f"go build: {done.stderr.strip().splitlines()[-1]}")
    sys.stdout.write(f"mongodump and mongorestore are in {FOLDER}\n")
    return 0


def _fail(what: str, why: str) -> int:
    sys.stderr.write(f"{what} cannot be had here: {why}.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
