"""A restore cannot lie: what is not as it was saved is told, whatever mongorestore says."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.int64 import Int64
from fastcrc import crc64

from crm.errors import BackupFailed, NotConfigured
from crm.identity import Role
from crm.ops.backup.creating import Making, create
from crm.ops.backup.manifest import Manifest
from crm.ops.backup.restoring import Restored, Restoring, restore
from crm.ops.backup.targets import Directory
from tests.fixtures.archives import END, head, read_documents
from tests.fixtures.rows import customer_row, product_row
from tests.fixtures.store import Store

pytestmark = [pytest.mark.mongo, pytest.mark.usefixtures("mongo_tools")]
Documents = dict[tuple[str, str], list[bytes]]
NO_ORDERS = {"orders_count": 0, "totals": [], "revision": 0}


@pytest.fixture
def saved(store: Store, tmp_path: Path) -> Manifest:
    store.root["customers"].insert_many(
        customer_row(_id=f"cus_{n}", email=f"person{n}@example.com", stats=NO_ORDERS) for n in range(20)
    )
    store.root["products"].insert_many(product_row(_id=f"SKU-{n}") for n in range(5))
    return create(Making(store.settings, store.settings.uri(), Directory(tmp_path), []))


def restores(there: Store, root_uri: str, folder: Path, backup: Manifest, **more: Any) -> Restored:
    return restore(Restoring(there.settings, root_uri, Directory(folder), backup, [], **more))


def rewritten(folder: Path, backup: Manifest, change: Callable[[Documents], None]) -> Manifest:
    """The archive with other documents, as if it had been written so: digests and checksums are right."""
    path = folder / backup.archive.file
    with gzip.open(path) as stream:
        prelude = stream.read(4) + _until_end(stream)
        found: Documents = {}
        while start := stream.read(4):
            one = bson.decode(start + stream.read(struct.unpack("<i", start)[0] - 4))
            found.setdefault((one["db"], one["collection"]), []).extend(read_documents(stream))  # type: ignore[arg-type]
    change(found)
    out = io.BytesIO(prelude)
    out.seek(0, io.SEEK_END)
    for place, documents in found.items():
        data = b"".join(documents)
        out.write(head(*place) + data + END + head(*place, eof=True, crc=crc64.xz(data)) + END)
    path.write_bytes(gzip.compress(out.getvalue()))
    digest = {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return backup.model_copy(update={"archive": backup.archive.model_copy(update=digest)})


def _until_end(stream: Any) -> bytes:
    return b"".join(read_documents(stream)) + END


def test_what_was_saved_is_there_again(
    saved: Manifest, elsewhere: Store, store: Store, root_uri: str, tmp_path: Path
) -> None:
    done = restores(elsewhere, root_uri, tmp_path, saved)
    assert done.problems == []
    assert (done.well, done.compared, done.documents) == (True, True, saved.documents)
    there = sorted(elsewhere.root["customers"].find(), key=lambda row: str(row["_id"]))
    assert there == sorted(store.root["customers"].find(), key=lambda row: str(row["_id"]))
    assert done.report is not None
    assert done.report.well
    assert done.seconds.keys() == {"check", "restore", "compare", "contract", "erase again", "examine"}
    # And whoever uses it can sign in.
    with elsewhere.client(Role.SALES) as sales:
        assert sales[elsewhere.root.name]["customers"].find_one({"_id": "cus_1"}) is not None


def test_a_store_in_which_nothing_was_written_meanwhile(
    store: Store, elsewhere: Store, root_uri: str, tmp_path: Path
) -> None:
    """The oplog of the dump then tells of others only, or of nothing."""
    store.root["products"].insert_one(product_row(_id="SKU-1"))
    store.root.client["admin"].command("appendOplogNote", data={"msg": "later than all that is ours"})
    quiet = create(Making(store.settings, store.settings.uri(), Directory(tmp_path), []))
    done = restores(elsewhere, root_uri, tmp_path, quiet)
    assert done.problems == []
    assert elsewhere.root["products"].count_documents({}) == 1


def test_what_is_there_already_is_not_overwritten(saved: Manifest, store: Store, root_uri: str, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="is there already"):
        restores(store, root_uri, tmp_path, saved)
    assert store.root["customers"].count_documents({}) == 20


def test_without_the_key_of_the_ledger_nothing_is_done(
    saved: Manifest, elsewhere: Store, root_uri: str, tmp_path: Path
) -> None:
    without = replace(elsewhere, settings=elsewhere.settings.model_copy(update={"erasure_key": None}))
    with pytest.raises(NotConfigured, match="CRM_ERASURE_KEY"):
        restores(without, root_uri, tmp_path, saved)
    assert elsewhere.root.list_collection_names() == []


def poisoned_by_a_double(found: Documents, database: str) -> None:
    """Of one id, mongorestore refuses the second, counts it, and ends with 0."""
    found[database, "customers"].append(found[database, "customers"][0])


def poisoned_by_a_loss(found: Documents, database: str) -> None:
    found[database, "customers"].pop()


def poisoned_by_another_value(found: Documents, database: str) -> None:
    row = bson.decode(found[database, "products"][0])
    found[database, "products"][0] = bson.encode({**row, "title": "Something else"})


def poisoned_by_a_type(found: Documents, database: str) -> None:
    """The same to Python, and to whoever looks at it; not to MongoDB."""
    row = bson.decode(found[database, "customers"][0])
    found[database, "customers"][0] = bson.encode({**row, "version": Int64(row["version"])})


def poisoned_by_an_addition(found: Documents, database: str) -> None:
    found[database, "products"].append(bson.encode(product_row(_id="MORE")))


POISONS: dict[Callable[[Documents, str], None], list[str]] = {
    poisoned_by_a_double: ["could not restore 1 documents, and ended as if it had"],
    poisoned_by_a_loss: ["customers has 19 documents instead of 20"],
    poisoned_by_another_value: ["products has 5 documents, and some of them differ from what was saved"],
    poisoned_by_a_type: ["customers has 20 documents, and some of them differ from what was saved"],
    poisoned_by_an_addition: ["products has 6 documents instead of 5"],
}


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.__name__.removeprefix("poisoned_by_"))
def test_a_poisoned_archive_is_found(
    poison: Callable[[Documents, str], None],
    saved: Manifest,
    elsewhere: Store,
    store: Store,
    root_uri: str,
    tmp_path: Path,
) -> None:
    changed = rewritten(tmp_path, saved, lambda found: poison(found, store.root.name))
    done = restores(elsewhere, root_uri, tmp_path, changed)
    assert not done.well
    for expected in POISONS[poison]:
        assert any(expected in problem for problem in done.problems), done.problems


def test_an_archive_without_an_index_is_found(
    saved: Manifest, elsewhere: Store, store: Store, root_uri: str, tmp_path: Path
) -> None:
    """The index is made again from what is declared; that it was lost is told all the same."""
    path = tmp_path / saved.archive.file
    plain = gzip.decompress(path.read_bytes())
    changed = plain.replace(b'"by_last_name"', b'"by_lost_name"', 1)
    assert changed != plain
    path.write_bytes(gzip.compress(changed))
    done = restores(elsewhere, root_uri, tmp_path, saved)
    lost = "not restored as declared: + index customers.by_last_name"
    assert any(problem.startswith(lost) for problem in done.problems), done.problems


def test_the_live_store_goes_only_when_what_replaces_it_is_whole(
    saved: Manifest, store: Store, elsewhere: Store, root_uri: str, tmp_path: Path
) -> None:
    there = replace(elsewhere, settings=elsewhere.settings)
    there.root["customers"].insert_one({"_id": "live"})
    path = tmp_path / saved.archive.file
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(BackupFailed, match="not as it was written"):
        restores(there, root_uri, tmp_path, saved, replace=True)
    assert there.root["customers"].find_one({}) == {"_id": "live"}
    path.write_bytes(whole)
    done = restores(there, root_uri, tmp_path, saved, replace=True)
    assert done.problems == []
    assert there.root["customers"].find_one({"_id": "live"}) is None


def test_what_cannot_be_compared_is_not_called_proven(
    saved: Manifest, elsewhere: Store, root_uri: str, tmp_path: Path
) -> None:
    uncounted = saved.model_copy(update={"collections": None})
    done = restores(elsewhere, root_uri, tmp_path, uncounted)
    assert (done.well, done.compared, done.proven, done.to_dict()["proven"]) == (True, False, False, False)
    assert "minSnapshotHistoryWindowInSeconds" in done.notes[0]


def test_another_version_of_mongodb_is_told(saved: Manifest, elsewhere: Store, root_uri: str, tmp_path: Path) -> None:
    of_another = saved.model_copy(update={"server_version": "8.0.4"})
    done = restores(elsewhere, root_uri, tmp_path, of_another)
    assert done.proven
    assert done.notes[0].startswith("The backup is of MongoDB 8.0.4, and is restored to ")
