"""Builds MongoDB's mongodump and mongorestore with Go, and installs mongosh with npm, into ``.tools``: ``make tools``.

With ``--where-possible`` it is no failure that Go or npm is not there; one that is there and does not do it is.

``tests/mongo_tools/go.mod`` pins the version, ``go.sum`` what each module must be. The repository's tags have no
leading v, so Go knows its versions by commit only. This is the newest whose checksum Go's public database knows (on
2026-11-25); it lies between the releases 100.6.0 and 100.6.1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".tools" / "bin"
PINNED = ROOT / "tests" / "mongo_tools"
MODULE = "github.com/mongodb/mongo-tools"
VERSION, COMMIT = "100.6.1-rc", "6d9d341edd33"
NAMES = ("mongodump", "mongorestore")
MONGOSH = "mongosh@2.12.0"
GO = "/usr/local/go/bin/go"  # where Go's own installer puts it, PATH or not


def main(arguments: Sequence[str]) -> int:
    """Build and install what is not there; exits with 1 where something cannot be, and says why."""
    absent = 0 if "--where-possible" in arguments else 1
    return max(_mongosh(absent), _tools(absent))


def _mongosh(absent: int) -> int:
    folder, npm = FOLDER.parent / "mongosh", shutil.which("npm")
    if (folder / "node_modules" / ".bin" / "mongosh").exists():
        return 0
    if npm is None:
        return _fail("mongosh", "there is no npm", absent)
    folder.mkdir(parents=True, exist_ok=True)
    # Nothing of theirs is run while they are installed.
    options = ["--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
    done = subprocess.run([npm, "install", *options, MONGOSH], capture_output=True, check=False, timeout=600)
    return _fail("mongosh", f"npm ended with {done.returncode}") if done.returncode else 0


def _tools(absent: int) -> int:
    missing = [name for name in NAMES if not (FOLDER / name).exists()]
    go = shutil.which("go") or shutil.which(GO)
    if missing and go is None:
        return _fail("mongodump", "Go is not installed", absent)
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
            return _fail(name, f"go build: {done.stderr.strip().rpartition(chr(10))[2]}")
    sys.stdout.write(f"mongodump and mongorestore are in {FOLDER}\n")
    return 0


def _fail(what: str, why: str, code: int = 1) -> int:
    sys.stderr.write(f"{what} cannot be had here: {why}.\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
