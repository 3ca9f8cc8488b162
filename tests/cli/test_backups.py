"""``crm backup list`` and ``verify``: what they say of backups and of slices of the oplog, and the exit code."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import bson
import pytest
from typer.testing import CliRunner, Result

from crm import cli
from crm.clock import now
from crm.config import Settings
from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed
from crm.ops.backup import encrypting, files, slices, spans
from crm.ops.backup.manifest import Manifest, name_of
from crm.ops.backup.slices import Slice
from crm.ops.backup.spans import Span
from crm.ops.backup.targets import Directory

pytestmark = pytest.mark.fast
Run = Callable[..., Result]
ENTRIES = [bson.encode({"ts": number}) for number in range(3)]


@pytest.fixture
def target(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "to")


@pytest.fixture
def run(target: Directory, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("SECRETS_DIR", *(field.upper() for field in Settings.model_fields)):
        monkeypatch.delenv(f"CRM_{name}", raising=False)
    monkeypatch.setenv("CRM_BACKUP_TARGET", target.where)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(cli.app, ["backup", *arguments])


def at(ago: timedelta) -> OplogTime:
    return OplogTime(int((now() - ago).timestamp()), 1)


def backup(target: Directory, last: OplogTime) -> Manifest:
    name = name_of("crm", last.moment)
    made = Manifest(
        name=name, database="crm", began_at=last.moment, seconds=1, crm_version="1", tool_version="100",
        server_version="8", oplog_first=last, oplog_last=last, contract="0" * 64,
        archive=files.store(target, f"{name}.archive.gz", iter([b"a"]), []), ledger=None, collections=None,
    )  # fmt: skip
    files.write_manifest(target, made)
    return made


def sliced(target: Directory, *ends: OplogTime, recipients: Sequence[object] = (), entries: int = 3) -> list[Slice]:
    """Slices from each of these places to the next."""
    made = []
    for span in itertools.starmap(Span, itertools.pairwise(ends)):
        packed = files.compressed(iter(ENTRIES), 1)
        stored = files.store(target, spans.name_of("crm", span) + ".bson.gz", packed, recipients)
        made.append(Slice(database="crm", after=span.after, last=span.last, entries=entries, stored=stored))
        slices.write(target, made[-1])
    return made


def test_without_slices_nothing_is_said_of_them(run: Run, target: Directory) -> None:
    made = backup(target, at(timedelta(hours=5)))
    done = run("list")
    assert done.exit_code == 0
    assert made.name in done.stdout
    assert "slice" not in done.stdout
    refused = run("list", "--max-age", "6h", "--max-slice-age", "1h")
    assert (refused.exit_code, refused.stderr) == (1, "crm: there is no slice\n")
    assert json.loads(run("list", "--json").stdout)["any_second"] == []


def test_what_can_be_restored_to_any_second_is_told_and_what_cannot(run: Run, target: Directory) -> None:
    places = [at(timedelta(minutes=minutes)) for minutes in (50, 40, 30, 20, 10)]
    backup(target, places[0])
    backup(target, places[2])
    every = sliced(target, *places)
    lost = every[1].name
    for name in target.names():
        if name.startswith(lost):
            target.delete(name)
    done = run("list", "--max-slice-age", "15m")
    assert done.exit_code == 0

    def second(place: OplogTime, more: int = 0) -> str:
        return f"{place.moment + timedelta(seconds=more):%Y-%m-%d %H:%M:%S}"

    assert done.stdout.splitlines()[-4:] == [
        "3 slices of the oplog. What can be restored with `crm restore --to`:",
        f"  any second from {second(places[0], 1)} to {second(places[1])} UTC",
        f"  no second between {second(places[1])} and {second(places[2], 1)}",
        f"  any second from {second(places[2], 1)} to {second(places[4])} UTC",
    ]
    told = json.loads(run("list", "--json").stdout)
    assert told["slices"] == 3
    assert [one["last"] for one in told["any_second"]] == [places[1].moment.isoformat(), places[4].moment.isoformat()]
    refused = run("list", "--max-slice-age", "5m")
    assert (refused.exit_code, refused.stderr) == (1, "crm: the newest slice is 0.2 hours old\n")


@pytest.mark.usefixtures("_archives_are_well")
def test_slices_are_verified_with_the_backup_that_they_follow(run: Run, target: Directory) -> None:
    places = [at(timedelta(minutes=minutes)) for minutes in (50, 40, 30, 20, 10)]
    older = backup(target, places[0])
    backup(target, places[2])
    every = sliced(target, *places)
    assert "2 slices of the oplog, up to" in run("verify").stdout
    assert "4 slices of the oplog, up to" in run("verify", older.name).stdout
    assert "as they were written, 12 entries read" in run("verify", "--all").stdout
    (Path(target.where) / every[0].stored.file).write_bytes(b"other")
    assert run("verify").exit_code == 0, "the latest does not need it"
    done = run("verify", "--all")
    assert isinstance(done.exception, BackupFailed)
    assert every[0].stored.file in done.exception.detail


@pytest.mark.usefixtures("_archives_are_well")
def test_slices_that_nobody_here_can_open_are_compared_with_their_digest(
    run: Run, target: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key.txt"
    recipients = encrypting.recipients_of(encrypting.make_identity(key))
    backup(target, at(timedelta(minutes=50)))
    (one,) = sliced(target, at(timedelta(minutes=50)), at(timedelta(minutes=40)), recipients=recipients)
    assert "as they were written, not opened: no key" in run("verify").stdout
    monkeypatch.setenv("CRM_BACKUP_IDENTITY", str(key))
    assert "as they were written, 3 entries read" in run("verify").stdout
    (tmp_path / "to" / one.stored.file).write_bytes(b"other")
    monkeypatch.delenv("CRM_BACKUP_IDENTITY")
    assert isinstance(run("verify").exception, BackupFailed)


@pytest.fixture
def _archives_are_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of archives have real ones."""
    monkeypatch.setattr("crm.cli.backups.verifying.verify", lambda *_: None)
