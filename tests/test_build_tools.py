"""MongoDB's tools for tests: who has no Go or npm goes without, but a build that fails is a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import build_tools
from tests.e2e.processes import ROOT

pytestmark = pytest.mark.fast


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH; nothing is built yet."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(build_tools, "FOLDER", tmp_path / "tools" / "bin")
    monkeypatch.setattr(build_tools, "GO", str(tmp_path / "no" / "go"))
    return folder


def program(folder: Path, name: str, code: int) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho what it says >&2\nexit {code}\n")
    (folder / name).chmod(0o755)


def test_their_absence_is_told_and_tolerated_where_that_is_asked_for(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not [*path.iterdir()]
    assert build_tools.main(["--where-possible"]) == 0
    told = capsys.readouterr().err
    assert "Go is not installed" in told
    assert "there is no npm" in told
    assert build_tools.main([]) == 1


@pytest.mark.parametrize(("go", "npm"), [(1, 0), (0, 1)])
def test_a_build_that_fails_is_a_failure(path: Path, capsys: pytest.CaptureFixture[str], go: int, npm: int) -> None:
    program(path, "go", go)
    program(path, "npm", npm)
    assert build_tools.main(["--where-possible"]) == 1
    told = capsys.readouterr().err
    assert ("go build: what it says" in told) is bool(go)
    assert ("npm ended with 1" in told) is bool(npm)


def test_what_must_pass_does_not_look_away() -> None:
    """With ``|| true`` every test of backups would be skipped the day that a checksum no longer fits."""
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [line for line in lines if line.startswith("make tools")] == ["make tools ARGS=--where-possible"]
