"""What MongoDB's tools are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from crm.ops.backup.tools import is_old, running, without_database

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("mongodb://h:1/?replicaSet=rs0", "mongodb://h:1/?replicaSet=rs0"),
        ("mongodb://root:p%40ss@h:1/admin?authSource=admin", "mongodb://root:p%40ss@h:1/?authSource=admin"),
        ("mongodb://root:x@h:1,i:2/admin?replicaSet=rs0", "mongodb://root:x@h:1,i:2/?replicaSet=rs0&authSource=admin"),
        ("mongodb+srv://root:x@h/crm", "mongodb+srv://root:x@h/?authSource=crm"),
        ("mongodb://h/crm", "mongodb://h/"),
    ],
)
def test_a_database_in_a_uri_does_not_narrow_what_they_do(uri: str, told: str) -> None:
    assert without_database(uri) == told


@pytest.mark.parametrize(
    ("version", "old"),
    [
        ("100.6.1-rc", True),
        ("100.9.0", True),
        ("100.9.1", False),
        ("100.10.0", False),
        ("100.18.0", False),
        ("r3", True),
    ],
)
def test_versions_that_are_too_old_are_known(version: str, old: bool) -> None:
    assert is_old(version) is old


def test_a_figure_is_remembered_however_much_is_said_after_it(tmp_path: Path) -> None:
    tool = tmp_path / "mongorestore"
    tool.write_text(
        "#!/bin/sh\n"
        "echo '2026-11-25T03:00:00 applied 12 oplog entries' >&2\n"
        'for n in $(seq 40); do echo "restoring indexes for collection $n" >&2; done\n'
        "echo '7 document(s) restored successfully. 1 document(s) failed to restore.' >&2\n"
        "echo 'the last word' >&2\n"
    )
    tool.chmod(0o755)
    with running(tool, "mongodb://h:1/", [], reads=True) as run:
        run.input.close()
        run.ended()
    assert (run.applied(), run.summary()) == (12, (7, 1))
    assert run.lines[-1] == "the last word"
    assert len(run.lines) < 40


def test_a_tool_that_says_nothing_of_it(tmp_path: Path) -> None:
    tool = tmp_path / "mongorestore"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    with running(tool, "mongodb://h:1/", [], reads=True) as run:
        run.input.close()
        run.ended()
    assert (run.applied(), run.summary()) == (None, None)
