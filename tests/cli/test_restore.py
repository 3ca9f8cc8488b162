"""``crm restore`` and ``crm backup drill``: what they say of what came of it, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from crm import cli
from crm.cli import backup_jobs
from crm.cli import restore as command
from crm.config import Settings
from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed
from crm.ops.backup import files, restoring
from crm.ops.backup.manifest import Manifest, name_of
from crm.ops.backup.recording import Record
from crm.ops.backup.restoring import Restored, Restoring
from crm.ops.backup.targets import Directory

pytestmark = pytest.mark.fast
AT = datetime(2026, 11, 25, 3, tzinfo=UTC)
SECONDS = int(AT.timestamp()) + 5
WORDS = ("Proven.", "Restored, not compared.", "This is not what was saved.")


class Runs:
    """The commands on a backup that nobody really restores.

    Attributes:
        asked: What was to be restored.
        noted: What was written down.
        outcome: What came of it.
    """

    def __init__(self, folder: Path) -> None:
        self.asked: list[Restoring] = []
        self.noted: list[Record] = []
        self.outcome: dict[str, Any] = {"compared": True}
        target = Directory(folder)
        archive = files.store(target, "a.archive.gz", iter([b"archive"]), [])
        last = OplogTime(SECONDS, 1)
        self.backup = Manifest(
            name=name_of("crm", AT), database="crm", began_at=AT, seconds=1, crm_version="1", tool_version="100",
            server_version="8", oplog_first=last, oplog_last=last, contract="0" * 64, archive=archive, ledger=None,
            collections=None,
        )  # fmt: skip
        files.write_manifest(target, self.backup)

    def restore(self, asked: Restoring) -> Restored:
        self.asked.append(asked)
        return Restored(asked.backup, asked.backup.oplog_last, **self.outcome)

    def note(self, _uri: str, _settings: Settings, _principal: object, record: Record) -> None:
        self.noted.append(record)

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli.app, arguments)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    for name in ("SECRETS_DIR", *(field.upper() for field in Settings.model_fields)):
        monkeypatch.delenv(f"CRM_{name}", raising=False)
    monkeypatch.setenv("CRM_MONGODB_URI", "mongodb://root:x@db.invalid:27017/?replicaSet=rs0")
    monkeypatch.setenv("CRM_BACKUP_TARGET", str(tmp_path / "to"))
    made = Runs(tmp_path / "to")

    @contextmanager
    def scratch(settings: Settings) -> Iterator[tuple[str, Settings]]:
        yield "mongodb://scratch.invalid", settings

    monkeypatch.setattr(command, "put_back", made.restore)
    monkeypatch.setattr(backup_jobs, "restore", made.restore)
    for module in (command, backup_jobs):
        monkeypatch.setattr(module, "scratch_server", scratch)
        monkeypatch.setattr(module, "write_down", made.note)
    return made


@pytest.mark.parametrize("arguments", [("restore",), ("backup", "drill")], ids=" ".join)
@pytest.mark.parametrize(
    ("outcome", "code", "says"),
    [
        ({"compared": True}, 0, "Proven."),
        ({"compared": False, "notes": ["no counts"]}, 3, "Restored, not compared."),
        ({"compared": True, "problems": ["orders is missing"]}, 1, "This is not what was saved."),
        ({"compared": False, "problems": ["orders is missing"]}, 1, "This is not what was saved."),
    ],
)
def test_only_what_was_compared_is_proven(
    outcome: dict[str, Any], code: int, says: str, arguments: tuple[str, ...], runs: Runs
) -> None:
    runs.outcome = outcome
    done = runs(*arguments)
    assert done.exit_code == code
    assert [word for word in WORDS if word in done.output] == [says]
    assert [record.well for record in runs.noted] == [code == 0], "only then /metrics hears of it"
    told = runs(*arguments, "--json")
    assert told.exit_code == code
    assert json.loads(told.stdout)["proven"] is (code == 0)


def test_a_named_backup_of_a_later_moment_is_refused(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the real restore, which asks for this before it asks any server."""
    (tmp_path / "mongorestore").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CRM_ERASURE_KEY", "k" * 48)
    monkeypatch.setattr(command, "put_back", restoring.restore)
    done = runs("restore", runs.backup.name, "--to", "2026-11-25T03:00:05Z")
    assert isinstance(done.exception, BackupFailed)
    assert f"{runs.backup.name} is of 2026-11-25 03:00:05 UTC" in done.exception.detail
    assert "or none, and the right one is taken" in done.exception.detail


@pytest.mark.parametrize("arguments", [("restore",), ("restore", "--scratch"), ("backup", "drill")], ids=" ".join)
def test_the_file_of_the_ledger_is_used_where_there_is_one(
    arguments: tuple[str, ...], runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "erasures.ndjson"
    monkeypatch.setenv("CRM_ERASURE_FILE", str(path))
    assert runs(*arguments).exit_code == 0, "before the first erasure there is none"
    path.touch()
    assert runs(*arguments).exit_code == 0
    assert [asked.ledger_file for asked in runs.asked] == [None, path]


@pytest.mark.parametrize("arguments", [("restore",), ("backup", "drill")], ids=" ".join)
def test_that_there_is_no_ledger_has_to_be_said(arguments: tuple[str, ...], runs: Runs) -> None:
    runs(*arguments)
    runs(*arguments, "--no-ledger")
    assert [asked.no_ledger for asked in runs.asked] == [False, True]


def test_a_ledger_and_none_is_spelled_wrongly(runs: Runs, tmp_path: Path) -> None:
    path = tmp_path / "erasures.ndjson"
    path.touch()
    assert runs("restore", "--ledger", str(path), "--no-ledger").exit_code == 2
    assert runs.asked == []
