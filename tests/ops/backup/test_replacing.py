"""A live store goes only when all that replaces it has been read: decrypted, unpacked, to its end."""

from __future__ import annotations

import gzip
import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from crm.clock import now
from crm.errors import BackupFailed, CrmError, InvalidInput, NotConfigured
from crm.ops.backup import encrypting, files, slices, tailing
from crm.ops.backup.creating import Making, create
from crm.ops.backup.manifest import Manifest, Stored, name_of
from crm.ops.backup.restoring import Restored, Restoring, restore
from crm.ops.backup.slices import Slice
from crm.ops.backup.targets import Directory
from tests.fixtures.rows import customer_row
from tests.fixtures.store import Store

pytestmark = [pytest.mark.mongo, pytest.mark.usefixtures("mongo_tools")]
LIVE = {"_id": "live"}


class Shop:
    """Encrypted backups and slices of a store, and a live store of another name that one of them would replace."""

    def __init__(self, store: Store, elsewhere: Store, root_uri: str, folder: Path) -> None:
        self.target = Directory(folder / "target")
        self.folder = folder / "target"
        self.public = encrypting.make_identity(folder / "key")
        self.keys = encrypting.identities_of(folder / "key")
        self.there = elsewhere
        self.there.root["customers"].insert_one(dict(LIVE))
        self._store, self._root_uri = store, root_uri
        self._customers = itertools.count(1)

    def saves(self, *, encrypted: bool = True) -> Manifest:
        self._add()
        settings = self._store.settings
        recipients = encrypting.recipients_of(self.public) if encrypted else []
        made = create(Making(settings, settings.uri(), self.target, recipients))
        while name_of(made.database, now()) == made.name:
            time.sleep(0.05)  # the next one shall be another
        return made

    def tails(self) -> Slice:
        self._add()
        made = tailing.take(self._store.settings, self.target, encrypting.recipients_of(self.public))
        assert made is not None
        return made

    def _add(self) -> None:
        number = next(self._customers)
        no_orders = {"orders_count": 0, "totals": [], "revision": 0}
        row = customer_row(_id=f"cus_{number}", email=f"person{number}@example.com", stats=no_orders)
        self._store.root["customers"].insert_one(row)

    def replaces(self, backup: Manifest, keys: Sequence[Any], **more: Any) -> Restored:
        there = self.there.settings
        return restore(Restoring(there, self._root_uri, self.target, backup, keys, replace=True, **more))

    def keeps_the_live_store(self, error: type[CrmError], says: str, *given: Any, **more: Any) -> None:
        with pytest.raises(error, match=says):
            self.replaces(*given, **more)
        assert list(self.there.root["customers"].find()) == [LIVE]

    def rewrites(self, stored: Stored, content: bytes) -> Stored:
        """A file is another one, as if it had been written so, for the same key."""
        name = stored.file.removesuffix(".age")
        return files.store(self.target, name, iter([content]), encrypting.recipients_of(self.public))


@pytest.fixture
def shop(store: Store, elsewhere: Store, root_uri: str, tmp_path: Path) -> Shop:
    return Shop(store, elsewhere, root_uri, tmp_path)


def test_not_without_the_key(shop: Shop, tmp_path: Path) -> None:
    made = shop.saves()
    shop.keeps_the_live_store(NotConfigured, "CRM_BACKUP_IDENTITY", made, [])
    encrypting.make_identity(tmp_path / "another")
    another = encrypting.identities_of(tmp_path / "another")
    shop.keeps_the_live_store(BackupFailed, "cannot be decrypted", made, another)


def test_not_without_the_key_of_the_archive_where_the_ledger_needs_none(shop: Shop) -> None:
    made = shop.saves()
    shop.saves(encrypted=False)
    shop.keeps_the_live_store(NotConfigured, "archive.gz.age is encrypted", made, [])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no gzip at all", "damaged or cut short"),
        (gzip.compress(b"no archive"), "not an archive of mongodump"),
        (gzip.compress(b"\x6d\xe2\x99\x81\xff\xff\xff\xff"), "cut short"),
    ],
)
def test_not_for_an_archive_that_cannot_be_read_although_its_digest_is_right(
    content: bytes, says: str, shop: Shop
) -> None:
    made = shop.saves()
    made = made.model_copy(update={"archive": shop.rewrites(made.archive, content)})
    shop.keeps_the_live_store(BackupFailed, says, made, shop.keys)


def test_not_for_an_archive_of_another_backup(shop: Shop) -> None:
    first, second = shop.saves(), shop.saves()
    mixed = first.model_copy(update={"archive": second.archive})
    shop.keeps_the_live_store(BackupFailed, "not the archive that its manifest describes", mixed, shop.keys)


def test_not_for_slices_that_cannot_be_read(shop: Shop) -> None:
    made = shop.saves()
    first, second = shop.tails(), shop.tails()
    path = shop.folder / second.stored.file
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    until = second.last
    shop.keeps_the_live_store(BackupFailed, "not as it was written", made, shop.keys, until=until)
    path.write_bytes(whole)
    # A description that tells of more than there is.
    slices.write(shop.target, second.model_copy(update={"entries": second.entries + 1}))
    more = f"{second.entries} entries instead of {second.entries + 1}"
    shop.keeps_the_live_store(BackupFailed, more, made, shop.keys, until=until)
    slices.write(shop.target, second)
    # For another key: digest and size are right.
    another = encrypting.make_identity(shop.folder.parent / "another")
    for_others = files.store(shop.target, "x", iter([b""]), encrypting.recipients_of(another))
    slices.write(shop.target, first.model_copy(update={"stored": for_others}))
    shop.keeps_the_live_store(BackupFailed, "cannot be decrypted", made, shop.keys, until=until)
    slices.write(shop.target, first)
    done = shop.replaces(made, shop.keys, until=until)
    assert done.problems == []
    there = {row["_id"] for row in shop.there.root["customers"].find()}
    assert there >= {"cus_1", "cus_2"}  # the third may be the last entry, which is not before itself


def test_not_for_a_ledger_that_cannot_be_read(shop: Shop, tmp_path: Path) -> None:
    made = shop.saves()
    later = shop.saves()
    assert later.ledger is not None
    changed = later.model_copy(update={"ledger": shop.rewrites(later.ledger, b'{"_id": "fgt_1"}\n')})
    files.write_manifest(shop.target, changed)
    shop.keeps_the_live_store(InvalidInput, "Entry 1 of .* is no entry", made, shop.keys)
    files.write_manifest(shop.target, later.model_copy(update={"ledger": shop.rewrites(later.ledger, b"")}))
    given = tmp_path / "erasures.ndjson"
    given.write_text('{"_id": \n')
    shop.keeps_the_live_store(InvalidInput, "Line 1 of erasures", made, shop.keys, ledger_file=given)


def test_a_ledger_that_is_not_needed_is_in_nobodys_way(shop: Shop) -> None:
    made = shop.saves()
    shop.saves()
    assert made.ledger is not None
    shop.target.delete(made.ledger.file)
    assert shop.replaces(made, shop.keys).problems == []
    assert shop.there.root["customers"].find_one(LIVE) is None
