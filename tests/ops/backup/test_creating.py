"""Backups of the worker's database by the tools on the PATH: what is in them, and what must not be."""

from __future__ import annotations

import gzip
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from pydantic import SecretStr

from crm.clock import now
from crm.config import Settings
from crm.contracts import contract
from crm.database.contract import digest
from crm.errors import BackupFailed, CrmError, NotConfigured
from crm.identity import Role
from crm.ops.backup import encrypting, files
from crm.ops.backup.creating import Making, create
from crm.ops.backup.hashing import Tally
from crm.ops.backup.manifest import Manifest
from crm.ops.backup.targets import Directory
from tests.fixtures.archives import MAGIC, read_documents
from tests.fixtures.rows import customer_row
from tests.fixtures.store import Store

pytestmark = [pytest.mark.mongo, pytest.mark.usefixtures("mongo_tools")]
Place = tuple[str, str]


def makes(store: Store, folder: Path, recipients: list[Any] | None = None) -> Manifest:
    return create(Making(store.settings, store.settings.uri(), Directory(folder), recipients or []))


def read(target: Directory, made: Manifest, key: Path) -> bytes:
    with files.content(target, made.archive, encrypting.identities_of(key)) as plain:
        return plain.read()


def contents(archive: Path) -> dict[Place, list[bytes]]:
    """Every document of an archive, by its collection."""
    out: dict[Place, list[bytes]] = {}
    with gzip.open(archive) as stream:
        assert stream.read(4) == MAGIC
        _, *about = read_documents(stream)  # type: ignore[arg-type]
        for one in map(bson.decode, about):
            out[one["db"], one["collection"]] = []
        while start := stream.read(4):
            head = bson.decode(start + stream.read(int.from_bytes(start, "little") - 4))
            out[head["db"], head["collection"]] += read_documents(stream)  # type: ignore[arg-type]
    return out


@pytest.fixture
def busy(store: Store) -> Iterator[None]:
    """Somebody writes all the while: into the store, the ledger, and a database that is none of ours."""
    stop = threading.Event()

    def work() -> None:
        number = 0
        with store.client(Role.ADMIN) as admin:
            customers = admin[store.root.name]["customers"]
            while not stop.is_set():
                number += 1
                customers.insert_one(customer_row(_id=f"cus_busy{number}", email=f"b{number}@example.com"))
                store.ledger["forgotten"].insert_one(forgotten(number))
                store.root.client[f"{store.root.name}_else"]["secrets"].insert_one({"of": "somebody else"})

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()
    store.root.client.drop_database(f"{store.root.name}_else")


def secrets_of(store: Store) -> list[bytes]:
    """The key of the ledger, without which its hashes tell nobody; and every other secret of the settings."""
    values = [getattr(store.settings, name) for name in Settings.model_fields]
    found = [value.get_secret_value().encode() for value in values if isinstance(value, SecretStr)]
    assert store.settings.secret_for_erasures() in found
    return found


def forgotten(number: int) -> dict[str, Any]:
    hashed = {"key_id": "0" * 8, "names": ["0" * 32]}
    return {"_id": f"fgt_busy{number}", "erasure_id": f"era_{number}", "erased_at": now(), **hashed}


def test_what_is_written_down(store: Store, tmp_path: Path) -> None:
    rows = [customer_row(_id=f"cus_{n}", email=f"{n}@example.com") for n in range(3)]
    store.root["customers"].insert_many(rows)
    made = makes(store, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"{made.name}.{end}" for end in ("archive.gz", "ledger.ndjson", "manifest.json")}
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())
    assert files.manifests(Directory(tmp_path)) == [made]
    assert made.contract == digest(contract())
    assert made.archive.bytes == (tmp_path / made.archive.file).stat().st_size
    assert made.collections is not None
    counted = {one.name: one for one in made.collections}
    assert counted.keys() == {one.name for one in contract().collections}
    tally = Tally()
    tally.add(bson.encode(row) for row in reversed(rows))
    assert (counted["customers"].count, counted["customers"].hash) == (3, tally.hexadecimal())


@pytest.mark.usefixtures("busy")
def test_nothing_of_others_is_in_it_and_nothing_of_the_ledger(store: Store, tmp_path: Path) -> None:
    makes(store, tmp_path / "first")
    made = makes(store, tmp_path / "second")
    found = contents(tmp_path / "second" / made.archive.file)
    assert {db for db, _ in found} == {store.root.name, "admin", ""}
    entries = [bson.decode(raw) for raw in found["", "oplog"]]
    assert entries, "somebody wrote meanwhile"
    # Several writes may be one entry of admin's: what stands in it is narrowed, and may be nothing.
    told = [one for entry in entries for one in entry["o"].get("applyOps", [entry])]
    assert {one["ns"].partition(".")[0] for one in told} == {store.root.name}
    plain = gzip.decompress((tmp_path / "second" / made.archive.file).read_bytes())
    assert b"fgt_busy" not in plain
    for secret in secrets_of(store):
        assert secret not in plain
        assert secret not in (tmp_path / "second" / f"{made.name}.manifest.json").read_bytes()
        assert secret not in (tmp_path / "second" / f"{made.name}.ledger.ndjson").read_bytes()
    assert b"somebody else" not in plain
    assert b"fgt_busy1" in (tmp_path / "second" / f"{made.name}.ledger.ndjson").read_bytes()


@pytest.mark.usefixtures("busy")
def test_the_counts_are_of_the_moment_of_the_archive(store: Store, tmp_path: Path) -> None:
    """The dump and the entries of its oplog, put together, are what was counted: not what is there by now."""
    made = makes(store, tmp_path)
    found = contents(tmp_path / made.archive.file)
    there = {bson.decode(raw)["_id"] for raw in found[store.root.name, "customers"]}
    for entry in map(bson.decode, found["", "oplog"]):
        if entry["ns"] == f"{store.root.name}.customers" and entry["op"] == "i":
            there.add(entry["o"]["_id"])
    assert made.collections is not None
    counted = {one.name: one.count for one in made.collections}
    assert counted["customers"] == len(there)


def test_only_the_secret_key_opens_it(store: Store, tmp_path: Path) -> None:
    public = encrypting.make_identity(tmp_path / "key")
    encrypting.make_identity(tmp_path / "another")
    store.root["customers"].insert_one(customer_row(email="ann@example.com"))
    made = makes(store, tmp_path / "target", encrypting.recipients_of(public))
    target = Directory(tmp_path / "target")
    assert made.archive.file.endswith(".archive.gz.age")
    assert made.ledger is not None
    assert made.ledger.encrypted
    files.check(target, made.archive)
    assert b"ann@example.com" in gzip.decompress(read(target, made, tmp_path / "key"))
    with pytest.raises(BackupFailed, match="cannot be decrypted"):
        read(target, made, tmp_path / "another")
    with pytest.raises(NotConfigured, match="CRM_BACKUP_IDENTITY"), files.content(target, made.archive, []):
        pass


def test_a_file_that_was_changed_is_found_without_the_key(store: Store, tmp_path: Path) -> None:
    public = encrypting.make_identity(tmp_path / "key")
    made = makes(store, tmp_path, encrypting.recipients_of(public))
    path = tmp_path / made.archive.file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BackupFailed, match="not as it was written"):
        files.check(Directory(tmp_path), made.archive)
    with pytest.raises(BackupFailed, match="cannot be decrypted"):
        read(Directory(tmp_path), made, tmp_path / "key")


def test_the_password_is_on_no_command_line(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    secret = store.settings.password(Role.BACKUP)
    assert secret is not None
    original = subprocess.Popen

    def noting(command: list[str], **options: Any) -> Any:
        seen.extend(command)
        seen.extend(f"{name}={value}" for name, value in (options.get("env") or {}).items())
        config = Path(command[1].partition("=")[2])
        assert config.stat().st_mode & 0o777 == 0o600
        assert secret in config.read_text()
        return original(command, **options)

    monkeypatch.setattr(subprocess, "Popen", noting)
    makes(store, tmp_path)
    assert seen
    assert not [word for word in seen if secret in word]
    assert not Path(seen[1].partition("=")[2]).exists()


def test_nothing_is_left_of_a_dump_that_fails(store: Store, tmp_path: Path) -> None:
    wrong = store.settings.model_copy(update={"mongodb_password_backup": store.settings.mongodb_password_sales})
    with pytest.raises(CrmError, match=r"(?i)password|sign"):
        create(Making(wrong, store.settings.uri(), Directory(tmp_path), []))
    assert list(tmp_path.iterdir()) == []


def test_a_tool_that_fails_half_way_leaves_nothing_and_says_why(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "mongodump"
    program.write_text("#!/bin/sh\nprintf 'm\\342\\231\\201'; echo 'Failed: the disk is full' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    with pytest.raises(BackupFailed, match="the disk is full"):
        makes(store, tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


def test_a_missing_tool_is_named(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotConfigured, match="mongodump was not found"):
        makes(store, tmp_path)
