"""A backup is read from end to end without a server, and is what its manifest says."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.timestamp import Timestamp

from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed, InvalidInput
from crm.ops.backup import encrypting, files
from crm.ops.backup.manifest import Manifest, name_of
from crm.ops.backup.targets import Directory
from crm.ops.backup.verifying import verify
from tests.fixtures.archives import VERSION, Writer

pytestmark = pytest.mark.fast
AT = datetime(2026, 11, 25, 3, tzinfo=UTC)
ENTRY = b'{"_id":"fgt_1","erasure_id":"era_1","erased_at":"2026-11-25T02:00:00Z","key_id":"00000000","names":["%s"]}\n'


def archive() -> bytes:
    """Two customers, and one entry of the oplog, of 100:5."""
    out = io.BytesIO()
    writer = Writer(out)
    places = ({"db": "crm", "collection": "customers"}, {"db": "", "collection": "oplog"})
    writer.prelude("6.0.5", [{**place, "metadata": "{}", "size": 1, "type": "collection"} for place in places])
    writer.segment("crm", "customers", [bson.encode({"_id": n}) for n in range(2)])
    writer.eof("crm", "customers")
    written = {"op": "i", "ns": "crm.customers", "ts": Timestamp(100, 5), "o": {"_id": 2}}
    writer.segment("", "oplog", [bson.encode(written)])
    writer.eof("", "oplog")
    return gzip.compress(out.getvalue())


def backup(target: Directory, recipients: list[Any], ledger: bytes = ENTRY % (b"0" * 32), **more: Any) -> Manifest:
    name = name_of("crm", AT)
    told = {"oplog_first": OplogTime(99, 1), "oplog_last": OplogTime(100, 7), "tool_version": VERSION, **more}
    return Manifest(
        name=name, database="crm", began_at=AT, seconds=1, crm_version="1", server_version="6.0.5", contract="0" * 64,
        archive=files.store(target, f"{name}.archive.gz", iter([archive()]), recipients),
        ledger=files.store(target, f"{name}.ledger.ndjson", iter([ledger]), recipients),
        collections=None, **told,
    )  # fmt: skip


def verified(target: Directory, made: Manifest, keys: list[Any]) -> int | None:
    told = verify(target, made, keys, lambda _done, _of: None)
    return None if told is None else told.documents


def test_everything_is_read_where_there_is_a_key(tmp_path: Path) -> None:
    target = Directory(tmp_path / "to")
    public = encrypting.make_identity(tmp_path / "key")
    made = backup(target, encrypting.recipients_of(public))
    assert verified(target, made, []) is None
    assert verified(target, made, encrypting.identities_of(tmp_path / "key")) == 2


@pytest.mark.parametrize(
    "told",
    [
        {"tool_version": "100.9.1"},
        {"oplog_last": OplogTime(100, 4)},
        {"oplog_first": OplogTime(100, 6)},
    ],
    ids=lambda told: next(iter(told)),
)
def test_an_archive_of_another_manifest(told: dict[str, Any], tmp_path: Path) -> None:
    target = Directory(tmp_path)
    with pytest.raises(BackupFailed, match="is not the archive that its manifest describes"):
        verified(target, backup(target, [], **told), [])


def test_a_ledger_that_is_none(tmp_path: Path) -> None:
    target = Directory(tmp_path / "to")
    public = encrypting.make_identity(tmp_path / "key")
    made = backup(target, encrypting.recipients_of(public), ENTRY % (b"0" * 32) + b'{"_id": "fgt_2"}\n')
    assert verified(target, made, []) is None, "without the key nobody can tell"
    with pytest.raises(InvalidInput, match=r"Entry 2 of crm-.*\.ledger\.ndjson is no entry"):
        verified(target, made, encrypting.identities_of(tmp_path / "key"))


@pytest.mark.parametrize("part", ["archive", "ledger"])
def test_a_file_that_was_changed(part: str, tmp_path: Path) -> None:
    target = Directory(tmp_path)
    made = backup(target, [])
    path = tmp_path / getattr(made, part).file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BackupFailed, match="not as it was written"):
        verified(target, made, [])
